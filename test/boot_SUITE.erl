%% A node boots with our epmd module, in interactive and in embedded mode, whatever the settings,
%% the native library and the port are like. Boots real nodes; needs no Docker engine.
-module(boot_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 3}}].

all() -> [{group, interactive}, {group, embedded}, {group, once}].

groups() ->
    InBothModes = [
        our_module_is_in_use,
        each_protocol_listens,
        nothing_of_ours_runs,
        own_range_beats_our_default_port,
        of_two_protocols_the_first_has_our_port,
        fixed_port_in_all_its_spellings,
        a_taken_port_does_not_stop_a_helper,
        distribution_started_late,
        dynamic_node_name,
        callbacks_from_anywhere,
        known_by_both_names_of_this_host,
        library_missing,
        library_of_another_architecture,
        library_of_another_abi,
        library_that_lacks_a_function,
        stub_module_reloaded,
        node_restarted_in_place
    ],
    [
        {interactive, [], InBothModes},
        {embedded, [], InBothModes},
        {once, [], [
            bad_settings_stop_the_boot,
            bad_setting_in_a_running_node,
            settings_from_all_places,
            tls_settings,
            tls_without_a_home,
            the_protocols_have_what_otp_calls,
            nothing_on_stdout
        ]}
    ].

init_per_suite(Config) ->
    [{boot, testbed:boot_file(?config(priv_dir, Config))} | Config].

end_per_suite(_) -> ok.

init_per_group(once, Config) -> [{mode, interactive} | Config];
init_per_group(Mode, Config) -> [{mode, Mode} | Config].

end_per_group(_, _) -> ok.

peer(Config, Args) -> peer(Config, Args, []).

peer(Config, Args, Env) -> peer(Config, Args, Env, #{}).

peer(Config, Args, Env, More) ->
    testbed:peer(More#{
        mode => ?config(mode, Config),
        boot => ?config(boot, Config),
        args => ["-start_epmd", "false", "-setcookie", "secret" | Args],
        env => Env
    }).

-define(EPMD, "-epmd_module", "epmd_docker").

own_port(Peer) ->
    {_, Port} = peer:call(Peer, epmd_docker_self, name_and_port, []),
    Port.

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    Peer = peer(Config, [?EPMD, "-sname", "inuse"]),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assert(peer:call(Peer, erlang, is_alive, [])),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])),
    ?assertMatch({file, _}, peer:call(Peer, code, is_loaded, [epmd_docker])),
    Expected = ?config(mode, Config),
    ?assertEqual(Expected, peer:call(Peer, code, get_mode, [])),
    testbed:stop(Peer).

each_protocol_listens(Config) ->
    Protocols = [
        {"eid_tcp", "127.0.0.1", inet, 12345},
        {"eid6_tcp", "::1", inet6, 12345},
        {"epmd_docker", "127.0.0.1", inet, any}
    ],
    [
        begin
            Peer = peer(Config, [?EPMD, "-proto_dist", Protocol, "-name", "0123456789ab@" ++ Host]),
            ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
            ?assert(peer:call(Peer, erlang, is_alive, []), Protocol),
            ?assertEqual({Protocol, true}, {Protocol, Expected =:= any orelse own_port(Peer) =:= Expected}),
            {ok, Socket} = gen_tcp:connect(Host, own_port(Peer), [Family]),
            ok = gen_tcp:close(Socket),
            testbed:stop(Peer)
        end
     || {Protocol, Host, Family, Expected} <- Protocols
    ].

%% With a fixed port there is no child at all; without one it is erl_epmd's own.
nothing_of_ours_runs(Config) ->
    Fixed = peer(Config, [?EPMD, "-sname", "fixed"], [{"ERL_DIST_PORT", integer_to_list(testbed:free_port())}]),
    {epmd_docker, undefined, _, _} = lists:keyfind(epmd_docker, 1, peer:call(Fixed, supervisor, which_children, [net_sup])),
    testbed:stop(Fixed),
    Any = peer(Config, [?EPMD, "-sname", "any"]),
    {epmd_docker, Pid, _, _} = lists:keyfind(epmd_docker, 1, peer:call(Any, supervisor, which_children, [net_sup])),
    ?assertEqual(Pid, peer:call(Any, erlang, whereis, [erl_epmd])),
    testbed:stop(Any).

%% Stock OTP lets each listen at a port of its own. What asks for our own name gets the first one's.
of_two_protocols_the_first_has_our_port(Config) ->
    Port = testbed:free_port(),
    Range = ["inet_dist_listen_min", integer_to_list(Port), "inet_dist_listen_max", integer_to_list(Port + 20)],
    Peer = peer(Config, [?EPMD, "-proto_dist", "inet6_tcp", "inet_tcp", "-name", "two@127.0.0.1", "-kernel" | Range],
        [{"EPMD_DOCKER_EPMD", "false"}]),
    Ports = [inet_port(Peer, P) || P <- peer:call(Peer, erlang, ports, [])],
    ?assertMatch([Port, _Second], lists:usort([P || P <- Ports, P >= Port, P =< Port + 20])),
    ?assertEqual(Port, own_port(Peer)),
    testbed:stop(Peer).

inet_port(Peer, P) ->
    case peer:call(Peer, inet, port, [P]) of
        {ok, Number} -> Number;
        {error, _} -> 0
    end.

own_range_beats_our_default_port(Config) ->
    Port = testbed:free_port(),
    Text = integer_to_list(Port),
    Peer = peer(Config, [?EPMD, "-proto_dist", "eid_tcp", "-name", "0123456789ab@127.0.0.1",
        "-kernel", "inet_dist_listen_min", Text, "inet_dist_listen_max", Text]),
    ?assertEqual(Port, own_port(Peer)),
    testbed:stop(Peer).

fixed_port_in_all_its_spellings(Config) ->
    Port = testbed:free_port(),
    Text = integer_to_list(Port),
    [
        begin
            Peer = peer(Config, [?EPMD, "-sname", "spelled" | Flags], Env),
            ?assertEqual({Flags, Env, Port}, {Flags, Env, own_port(Peer)}),
            testbed:stop(Peer)
        end
     || {Flags, Env} <- [
            {[], [{"ERL_DIST_PORT", Text}]},
            {["-erl_epmd_port", Text], []},
            {["-kernel", "erlang_port", Text], []},
            {["-epmd_docker", "dist_port", Text], []},
            {["-proto_dist", "eid_tcp"], [{"ERL_DIST_PORT", Text}]}
        ]
    ].

%% A command line tool in the same container with the same flags: it listens elsewhere, says so
%% in the log, and can connect to the node there.
a_taken_port_does_not_stop_a_helper(Config) ->
    Port = testbed:free_port(),
    Env = [{"ERL_DIST_PORT", integer_to_list(Port)}],
    Log = filename:join(?config(priv_dir, Config), ["taken-", atom_to_list(?config(mode, Config)), ".log"]),
    First = peer(Config, [?EPMD, "-name", "first@127.0.0.1"], Env),
    Second = peer(Config, [?EPMD, "-name", "second@127.0.0.1", "-kernel", "logger", testbed:log_of(Log)], Env),
    ?assertEqual(Port, own_port(First)),
    ?assertNotEqual(Port, own_port(Second)),
    ?assert(peer:call(Second, net_kernel, connect_node, ['first@127.0.0.1'])),
    testbed:eventually(fun() ->
        {ok, Text} = file:read_file(Log),
        count(Text, <<"is already taken here">>) =:= 1
    end, 2000),
    testbed:stop(Second),
    testbed:stop(First).

distribution_started_late(Config) ->
    Port = testbed:free_port(),
    Peer = peer(Config, [?EPMD], [{"ERL_DIST_PORT", integer_to_list(Port)}]),
    ?assertNot(peer:call(Peer, erlang, is_alive, [])),
    {ok, _} = peer:call(Peer, net_kernel, start, [['late@127.0.0.1', longnames]]),
    ?assertEqual(Port, own_port(Peer)),
    ok = peer:call(Peer, net_kernel, stop, []),
    {ok, _} = peer:call(Peer, net_kernel, start, [['again@127.0.0.1', longnames]]),
    ?assertEqual(Port, own_port(Peer)),
    testbed:stop(Peer).

%% -dist_listen false: the name comes from the node that it connects to.
dynamic_node_name(Config) ->
    Port = testbed:free_port(),
    Env = [{"ERL_DIST_PORT", integer_to_list(Port)}],
    Server = peer(Config, [?EPMD, "-name", "server@127.0.0.1"], Env),
    Client = peer(Config, [?EPMD, "-dist_listen", "false", "-name", "undefined@127.0.0.1"], Env),
    ?assert(peer:call(Client, net_kernel, connect_node, ['server@127.0.0.1'])),
    ?assertEqual(['server@127.0.0.1'], peer:call(Client, erlang, nodes, [connected])),
    testbed:stop(Client),
    testbed:stop(Server).

%% Applications call the epmd module themselves, at any time and with any kind of text.
callbacks_from_anywhere(Config) ->
    Peer = peer(Config, [?EPMD, "-sname", "calls"], [{"ERL_EPMD_PORT", "1"}]),
    Call = fun(Function, Args) -> peer:call(Peer, epmd_docker, Function, Args) end,
    Port = own_port(Peer),
    Host = peer:call(Peer, inet_db, gethostname, []),
    ?assertEqual({port, Port, 6}, Call(port_please, ["calls", Host])),
    ?assertEqual({port, Port, 6}, Call(port_please, [calls, list_to_atom(Host)])),
    ?assertEqual({port, Port, 6}, Call(port_please, ["calls", {127, 0, 0, 1}, 1000])),
    ?assertEqual({port, Port, 6}, Call(port_please, ["calls", "localhost", infinity])),
    ?assertEqual(noport, Call(port_please, ["nobody", "localhost"])),
    %% Not all that there is: this machine may run containers of others.
    [?assert(lists:member({"calls", Port}, element(2, {ok, _} = Call(names, Args))))
     || Args <- [[], [list_to_atom(Host)]]],
    ?assertEqual({ok, []}, Call(names, ["no-such-host.invalid"])),
    ?assertEqual({ok, []}, Call(names, [{203, 0, 113, 1}]), "an address that nothing answers at"),
    ?assertMatch({ok, [_ | _]}, peer:call(Peer, net_adm, names, [])),
    ?assertMatch({ok, _}, Call(register_node, ["calls", Port])),
    ?assertMatch({ok, _}, Call(register_node, [calls, Port, inet6_tcp])),
    ?assertMatch({ok, _}, Call(listen_port_please, ["calls", Host])),
    ?assertMatch({error, _}, Call(address_please, ["a", "no-such-host.invalid", inet])),
    testbed:stop(Peer).

%% What name resolution calls this host first (on OTP 29 inetrc says so too), and its own name.
known_by_both_names_of_this_host(Config) ->
    {ok, Host} = inet:gethostname(),
    File = filename:join(?config(priv_dir, Config), "localhost_first.inetrc"),
    ok = file:write_file(File, io_lib:format("{lookup, [file]}. {host, {127,0,0,1}, [\"localhost\", ~p]}.~n", [Host])),
    Peer = peer(Config, [?EPMD, "-sname", "both", "-kernel", "inetrc", "\"" ++ File ++ "\""], [{"ERL_EPMD_PORT", "1"}]),
    Port = own_port(Peer),
    Ours = fun({ok, Names}) -> [Nodes || {"both", _} = Nodes <- Names] end,
    [?assertEqual({Name, [{"both", Port}]}, {Name, Ours(peer:call(Peer, epmd_docker, names, [Name]))})
     || Name <- [Host, "localhost"]],
    ?assertEqual([{"both", Port}], Ours(peer:call(Peer, net_adm, names, []))),
    testbed:stop(Peer).

%% ---------------------------------------------------------------------------------------------
%% Without the library the node boots, DNS with a fixed port works, and the log says so once
%% ---------------------------------------------------------------------------------------------

library_missing(Config) ->
    without_library(Config, "missing", fun(Library) -> ok = file:delete(Library) end).

library_of_another_architecture(Config) ->
    without_library(Config, "architecture", fun(Library) ->
        {ok, <<Head:18/binary, _Machine:16/little, Rest/binary>>} = file:read_file(Library),
        %% ELF e_machine 0xF7: none that Erlang runs on.
        ok = file:delete(Library),
        ok = file:write_file(Library, <<Head/binary, 16#F7:16/little, Rest/binary>>)
    end).

%% The library is right and the Erlang side is of another version.
library_of_another_abi(Config) ->
    without_library(Config, "abi", fun(Library) ->
        Ebin = filename:join(filename:dirname(filename:dirname(Library)), "ebin"),
        other_stubs(Config, Ebin, [{<<"-define(ABI, ">>, <<"-define(ABI, 99">>}])
    end).

%% One that says that it fits and does not: a call answers, and does not go round for ever.
library_that_lacks_a_function(Config) ->
    Dir = filename:join(?config(priv_dir, Config), "lacks-" ++ atom_to_list(?config(mode, Config))),
    App = copy_app(Dir),
    other_stubs(Config, filename:join(App, "ebin"), [
        {<<"    creation/0\n">>, <<"    creation/0, lacking/0\n">>},
        {<<"creation() -> stub">>, <<"lacking() -> stub(?FUNCTION_NAME, []).\ncreation() -> stub">>}
    ]),
    More = #{path => ["-pa", filename:join(App, "ebin")], boot => boot_with(Config, App, Dir)},
    Peer = peer(maps:to_list(maps:merge(maps:from_list(Config), More)), [?EPMD, "-sname", "lacks"], [], More),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])),
    ?assertEqual({error, {nif_not_loaded, <<"the library lacks lacking">>}},
        peer:call(Peer, epmd_docker_nif, lacking, [])),
    ?assertEqual(ok, peer:call(Peer, epmd_docker, add_node, ['a@b', 1])),
    testbed:stop(Peer).

%% Compiles the stub module with changes in its text.
other_stubs(Config, Ebin, Changes) ->
    Source = filename:join([testbed:root(), "src_erl", "epmd_docker_nif.erl"]),
    {ok, Text} = file:read_file(Source),
    Changed = lists:foldl(
        fun({From, To}, Acc) ->
            New = binary:replace(Acc, From, To),
            ?assertNotEqual(Acc, New, From),
            New
        end, Text, Changes),
    Copy = filename:join(?config(priv_dir, Config), "epmd_docker_nif.erl"),
    ok = file:write_file(Copy, Changed),
    {ok, epmd_docker_nif} = compile:file(Copy, [
        {i, filename:dirname(Source)}, {outdir, Ebin}, nowarn_missing_spec, return_errors
    ]).

without_library(Config, Name, Break) ->
    Mode = ?config(mode, Config),
    Dir = filename:join([?config(priv_dir, Config), Name ++ "-" ++ atom_to_list(Mode)]),
    App = copy_app(Dir),
    Break(filename:join([App, "priv", "epmd_docker_nif.so"])),
    Log = filename:join(Dir, "node.log"),
    Port = integer_to_list(testbed:free_port()),
    More = #{path => ["-pa", filename:join(App, "ebin")], boot => boot_with(Config, App, Dir)},
    Args = [?EPMD, "-name", "broken@127.0.0.1", "-kernel", "logger", testbed:log_of(Log)],
    Peer = peer(maps:to_list(maps:merge(maps:from_list(Config), More)), Args, [{"ERL_DIST_PORT", Port}], More),
    ?assertEqual(filename:join([App, "ebin", "epmd_docker_nif.beam"]),
        peer:call(Peer, code, which, [epmd_docker_nif])),
    ?assertMatch({error, {nif_not_loaded, _}}, peer:call(Peer, epmd_docker, add_node, ['a@b', 1])),
    ?assertMatch({error, {nif_not_loaded, _}}, peer:call(Peer, epmd_docker, set_nodes, [[{'a@b', 1}]])),
    ?assertMatch({error, {nif_not_loaded, _}}, peer:call(Peer, epmd_docker, remove_node, ['a@b'])),
    ?assertMatch({error, {nif_not_loaded, _}}, peer:call(Peer, epmd_docker, list_nodes, [])),
    ?assertMatch({error, {nif_not_loaded, _}}, peer:call(Peer, epmd_docker, resolve, ['app@no-such-host'])),
    ?assertMatch({error, _}, peer:call(Peer, epmd_docker, resolve, ['0123456789ab@no-such-host.invalid'])),
    ?assertMatch(#{library := {nif_not_loaded, _}}, peer:call(Peer, epmd_docker, info, [])),
    fixed_port_works(Config, Peer, Port),
    epmd_works(Config, More, Name),
    {ok, Text} = file:read_file(Log),
    ?assertEqual(1, count(Text, <<"the native library is not loaded">>)),
    testbed:stop(Peer).

fixed_port_works(Config, Peer, Port) ->
    Other = peer(Config, [?EPMD, "-name", "other@127.0.0.1"],
        [{"ERL_DIST_PORT", integer_to_list(testbed:free_port())}, {"EPMD_DOCKER_REMOTE_PORT", Port}]),
    ?assert(peer:call(Other, net_kernel, connect_node, ['broken@127.0.0.1'])),
    testbed:eventually(fun() -> peer:call(Peer, erlang, nodes, []) =:= ['other@127.0.0.1'] end, 5000),
    testbed:stop(Other).

%% Two nodes and an epmd of their own, which ends with the test.
epmd_works(Config, More, Name) ->
    EpmdPort = testbed:free_port(),
    Epmd = open_port({spawn_executable, os:find_executable("epmd")},
        [{args, ["-port", integer_to_list(EpmdPort)]}, exit_status]),
    {os_pid, Pid} = erlang:port_info(Epmd, os_pid),
    try
        testbed:eventually(fun() -> listens(EpmdPort) end, 5000),
        Flags = [?EPMD, "-epmd_port", integer_to_list(EpmdPort), "-sname"],
        A = peer(Config, Flags ++ ["a" ++ Name ++ "@localhost"], [], More),
        B = peer(Config, Flags ++ ["b" ++ Name ++ "@localhost"], [], More),
        ?assert(peer:call(A, net_kernel, connect_node, [list_to_atom("b" ++ Name ++ "@localhost")])),
        testbed:stop(A),
        testbed:stop(B)
    after
        os:cmd("kill " ++ integer_to_list(Pid))
    end.

listens(Port) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, []) of
        {ok, Socket} -> gen_tcp:close(Socket) =:= ok;
        {error, _} -> false
    end.

copy_app(Dir) ->
    From = code:lib_dir(epmd_docker),
    To = filename:join(Dir, "epmd_docker"),
    [
        begin
            ok = filelib:ensure_dir(filename:join([To, Sub, "x"])),
            {ok, _} = file:copy(File, filename:join([To, Sub, filename:basename(File)]))
        end
     || Sub <- ["ebin", "priv"],
        File <- filelib:wildcard(filename:join([From, Sub, "*"])), filelib:is_regular(File)
    ],
    To.

%% An embedded boot takes its modules from the places that the boot file names.
boot_with(Config, App, Dir) ->
    {ok, Script} = file:consult(?config(boot, Config) ++ ".script"),
    Ours = filename:join(code:lib_dir(epmd_docker), "ebin"),
    Text = lists:flatten(io_lib:format("~p.~n", Script)),
    Changed = string:replace(Text, Ours, filename:join(App, "ebin"), all),
    Boot = filename:join(Dir, "broken"),
    ok = file:write_file(Boot ++ ".script", unicode:characters_to_binary(Changed)),
    ok = systools:script2boot(Boot),
    Boot.

%% ---------------------------------------------------------------------------------------------

%% The node table outlives the module: it is in the library, which is never unloaded.
stub_module_reloaded(Config) ->
    Peer = peer(Config, [?EPMD, "-sname", "reload"]),
    ok = peer:call(Peer, epmd_docker, add_node, ['a@b', "10.0.0.1", 8001]),
    {_, Binary, File} = peer:call(Peer, code, get_object_code, [epmd_docker_nif]),
    [
        begin
            _ = peer:call(Peer, code, purge, [epmd_docker_nif]),
            {module, _} = peer:call(Peer, code, load_binary, [epmd_docker_nif, File, Binary]),
            ?assertEqual([{'a@b', "10.0.0.1", 8001}], peer:call(Peer, epmd_docker, list_nodes, []))
        end
     || _ <- lists:seq(1, 5)
    ],
    %% Old code that still has the library, and no purge in between.
    {module, _} = peer:call(Peer, code, load_binary, [epmd_docker_nif, File, Binary]),
    _ = peer:call(Peer, code, purge, [epmd_docker_nif]),
    _ = peer:call(Peer, code, delete, [epmd_docker_nif]),
    _ = peer:call(Peer, code, purge, [epmd_docker_nif]),
    {module, _} = peer:call(Peer, code, load_binary, [epmd_docker_nif, File, Binary]),
    ?assertEqual([{'a@b', "10.0.0.1", 8001}], peer:call(Peer, epmd_docker, list_nodes, [])),
    testbed:stop(Peer).

%% init:restart/0 boots again in the same OS process, with the library still mapped.
node_restarted_in_place(Config) ->
    Port = testbed:free_port(),
    Env = [{"ERL_DIST_PORT", integer_to_list(Port)}],
    Control = peer(Config, [?EPMD, "-name", "control@127.0.0.1", "-hidden"],
        [{"EPMD_DOCKER_REMOTE_PORT", integer_to_list(Port)}]),
    Peer = peer(Config, [?EPMD, "-name", "restarts@127.0.0.1"], Env),
    Node = 'restarts@127.0.0.1',
    Rpc = fun(M, F, A) -> peer:call(Control, rpc, call, [Node, M, F, A, 5000]) end,
    OsPid = Rpc(os, getpid, []),
    Creation = Rpc(erlang, system_info, [creation]),
    ?assert(is_list(OsPid)),
    ok = Rpc(init, restart, []),
    testbed:eventually(fun() ->
        Now = Rpc(erlang, system_info, [creation]),
        is_integer(Now) andalso Now =/= Creation
    end, 20_000),
    ?assertEqual(OsPid, Rpc(os, getpid, [])),
    ?assertMatch(#{library := loaded}, Rpc(epmd_docker, info, [])),
    ?assertEqual(ok, Rpc(epmd_docker, add_node, ['a@b', 1])),
    %% The restarted node no longer speaks to the peer's own channel: end it through the other.
    _ = Rpc(erlang, halt, [0]),
    testbed:stop(Peer),
    testbed:stop(Control).

%% ---------------------------------------------------------------------------------------------

bad_settings_stop_the_boot(_Config) ->
    [
        begin
            {Status, Output} = testbed:erl(
                ["-start_epmd", "false", ?EPMD, "-sname", "bad" | Flags], Env),
            ?assertEqual({Env, Flags, 1}, {Env, Flags, Status}),
            ?assertMatch({_, [_]}, {Env, string:lexemes(Output, "\n")}),
            [?assertMatch({_, [_ | _]}, {Output, string:find(Output, Word)}) || Word <- Words],
            ?assertEqual(nomatch, string:find(Output, "rash"))
        end
     || {Env, Flags, Words} <- [
            {[{"ERL_DIST_PORT", "abc"}], [], ["dist_port", "ERL_DIST_PORT", "abc"]},
            {[{"ERL_DIST_PORT", "70000"}], [], ["dist_port", "70000"]},
            {[], ["-erl_epmd_port", "x1"], ["dist_port", "erl_epmd_port", "x1"]},
            {[], ["-kernel", "erlang_port", "ten"], ["dist_port", "erlang_port", "ten"]},
            {[], ["-epmd_docker", "dist_port", "70000"], ["dist_port", "70000"]},
            {[], ["-epmd_docker", "dist_port", "{a,[b]}"], ["dist_port", "{a,[b]}"]},
            {[{"EPMD_DOCKER_TIMEOUT_MS", "7000"}], [], ["timeout", "7000", "6999"]},
            {[{"EPMD_DOCKER_TIMEOUT_MS", "2000"}], ["-kernel", "net_setuptime", "2"], ["timeout", "2000", "1999"]},
            {[{"EPMD_DOCKER_ADDRESS", "somewhere"}], [], ["address", "somewhere", "published"]},
            {[{"EPMD_DOCKER_EPMD", "maybe"}], [], ["epmd", "maybe"]},
            {[{"EPMD_DOCKER_WATCH", "1"}], [], ["watch", "1"]},
            {[{"EPMD_DOCKER_REFRESH_MS", "5"}], [], ["refresh_interval", "5"]},
            {[{"EPMD_DOCKER_REMOTE_PORT", "0"}], [], ["remote_port", "0"]},
            {[{"EPMD_DOCKER_DAEMON_PORT", "x"}], [], ["docker_daemon_port", "x"]},
            {[], ["-kernel", "docker_daemon_port", "99999"], ["docker_daemon_port", "99999"]},
            {[{"EPMD_DOCKER_NODES", "a@b"}], [], ["static_nodes", "a@b"]},
            {[{"EPMD_DOCKER_NODES", "a@b:0"}], [], ["static_nodes", "a@b:0"]},
            {[{"EPMD_DOCKER_ALLOWED_HOSTS", "10.0.0.0/40"}], [], ["allowed_hosts", "10.0.0.0/40"]},
            {[{"DOCKER_HOST", "ssh://root@h"}], [], ["docker_host", "ssh://root@h", "DOCKER_HOST",
                "ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock", "unix:///tmp/docker.sock"]},
            {[{"DOCKER_HOST", "npipe:////./pipe/docker_engine"}], [], ["docker_host", "tcp://HOST:PORT"]},
            {[{"DOCKER_HOST", "fd://"}], [], ["docker_host", "unix:///var/run/docker.sock"]},
            {[{"DOCKER_CONTEXT", "../x"}], [], ["docker_context", "DOCKER_CONTEXT", "../x"]},
            {[{"DOCKER_HOST", "nonsense"}], [], ["docker_host", "nonsense"]},
            {[{"DOCKER_API_VERSION", "latest"}], [], ["api_version", "latest"]},
            {[{"DOCKER_HOST", "https://h"}], [], ["docker_host", "https", "DOCKER_TLS_VERIFY"]},
            {[], ["-epmd_docker", "docker_tls", "perhaps"], ["docker_tls", "perhaps", "true or false"]},
            {[{"EPMD_DOCKER_REMOTE_TLS", "1"}], [], ["remote_tls", "one of true, false"]},
            {[], ["-epmd_docker", "docker_cert_path", "[]"], ["docker_cert_path", "a folder"]},
            {[], ["-epmd_docker", "remote_cert_path", "[a]"], ["remote_cert_path", "another type"]}
        ]
    ].

%% A node that is up lives on without distribution.
bad_setting_in_a_running_node(Config) ->
    Peer = peer(Config, [?EPMD], [{"ERL_DIST_PORT", "abc"}]),
    ?assertMatch({error, _}, peer:call(Peer, net_kernel, start, [['late@127.0.0.1', longnames]])),
    ?assertNot(peer:call(Peer, erlang, is_alive, [])),
    ?assertMatch({error, {bad_setting, dist_port, {os, "ERL_DIST_PORT"}, "abc", _}},
        peer:call(Peer, epmd_docker, resolve, ['a@b'])),
    ?assertMatch({ok, []}, peer:call(Peer, epmd_docker, names, ["no-such-host.invalid"])),
    ?assertMatch(#{settings := #{bad_setting := [_ | _]}}, peer:call(Peer, epmd_docker, info, [])),
    testbed:stop(Peer).

%% OS environment, then application environment, then kernel's variables, then the default.
settings_from_all_places(Config) ->
    SysConfig = filename:join(?config(priv_dir, Config), "sys.config"),
    ok = file:write_file(SysConfig, io_lib:format("~p.~n", [[
        {epmd_docker, [{timeout, 1234}, {network, <<"front">>}, {address, published},
            {static_nodes, [{'a@h1', 8001}, {'b@h2', "10.0.0.2", 8002}]},
            {allowed_hosts, ["10.0.0.0/8", <<"docker.example.com">>]}, {watch, false}]},
        {kernel, [{docker_daemon_port, 4321}, {erlang_port, 1111}]}
    ]])),
    Peer = peer(Config, [?EPMD, "-sname", "places", "-config", SysConfig,
        "-epmd_docker", "refresh_interval", "5000"],
        [{"EPMD_DOCKER_TIMEOUT_MS", "2345"}, {"EPMD_DOCKER_NETWORK", ""}, {"ERL_DIST_PORT", "0"},
         {"EPMD_DOCKER_NODES", "c@h3:8003 d@[::1]:8004 e@fd00::5:8005"}]),
    #{settings := Settings, nodes := 3} = peer:call(Peer, epmd_docker, info, []),
    ?assertMatch(
        #{timeout := 2345, network := <<"front">>, address := published, dist_port := 0,
          docker_daemon_port := 4321, refresh_interval := 5000, watch := false,
          allowed_hosts := [<<"10.0.0.0/8">>, <<"docker.example.com">>],
          docker_host := "unix:///var/run/docker.sock",
          sources := #{timeout := {os, "EPMD_DOCKER_TIMEOUT_MS"}, network := {application, network},
            docker_daemon_port := {kernel, docker_daemon_port}, docker_host := default}},
        Settings),
    ?assertMatch([{'c@h3', "h3", 8003}, {'d@::1', "::1", 8004}, {'e@fd00::5', "fd00::5", 8005}], peer:call(Peer, epmd_docker, list_nodes, [])),
    testbed:stop(Peer).

%% TLS to the local daemon is TLS to all of them, unless a setting says otherwise.
tls_settings(Config) ->
    Default = filename:join(os:getenv("HOME"), ".docker"),
    Keys = [docker_tls, remote_tls, docker_cert_path, remote_cert_path, docker_daemon_port],
    [
        begin
            Peer = peer(Config, [?EPMD, "-sname", "tls" | Flags], Env),
            #{settings := Settings} = peer:call(Peer, epmd_docker, info, []),
            ?assertEqual(Expected, [maps:get(Key, Settings) || Key <- Keys], {Env, Flags}),
            testbed:stop(Peer)
        end
     || {Env, Flags, Expected} <- [
            {[], [], [false, false, Default, Default, 4243]},
            {[{"DOCKER_TLS_VERIFY", "1"}], [], [true, true, Default, Default, 2376]},
            {[{"DOCKER_TLS_VERIFY", "0"}], [], [true, true, Default, Default, 2376]},
            {[{"DOCKER_TLS", "1"}, {"DOCKER_CONFIG", "/etc/d"}], [], [true, true, "/etc/d", "/etc/d", 2376]},
            {[{"DOCKER_TLS_VERIFY", "1"}, {"DOCKER_CERT_PATH", "/a"}, {"EPMD_DOCKER_REMOTE_TLS", "false"}], [],
                [true, false, "/a", "/a", 4243]},
            {[{"EPMD_DOCKER_REMOTE_TLS", "true"}, {"EPMD_DOCKER_REMOTE_CERT_PATH", "/b"}], [],
                [false, true, Default, "/b", 2376]},
            {[{"EPMD_DOCKER_DAEMON_PORT", "1"}], ["-epmd_docker", "docker_tls", "true", "docker_cert_path", "\"c/d\""],
                [true, true, filename:absname("c/d"), filename:absname("c/d"), 1]}
        ]
    ].

tls_without_a_home(Config) ->
    Peer = peer(Config, [?EPMD]),
    [true = peer:call(Peer, os, unsetenv, [Name]) || Name <- ["HOME", "DOCKER_CONFIG"]],
    ?assertMatch({ok, #{docker_cert_path := undefined}}, peer:call(Peer, epmd_docker_options, load, [])),
    true = peer:call(Peer, os, putenv, ["DOCKER_TLS_VERIFY", "1"]),
    {error, Bad} = peer:call(Peer, epmd_docker_options, load, []),
    ?assertMatch({bad_setting, docker_cert_path, default, _, _}, Bad),
    ?assertNotEqual(nomatch, string:find(epmd_docker:format_error(Bad), "HOME")),
    testbed:stop(Peer).

%% inet_tcp_dist and its kin are OTP's internals: what net_kernel calls must be there on this OTP.
the_protocols_have_what_otp_calls(_Config) ->
    Always = [{listen, 2}, {accept, 1}, {accept_connection, 5}, {setup, 5}, {close, 1}, {select, 1},
        {address, 0}, {is_node_name, 1}],
    [
        begin
            {module, _} = code:ensure_loaded(Stock),
            {module, _} = code:ensure_loaded(Ours),
            [?assert(erlang:function_exported(Ours, F, A), {Ours, F, A}) || {F, A} <- Always ++ More],
            [?assert(erlang:function_exported(Stock, F, A), {Stock, F, A})
             || {F, A} <- (Always ++ More) -- [{is_node_name, 1}]]
        end
     || {Ours, Stock, More} <- [
            {eid_tcp_dist, inet_tcp_dist, [{setopts, 2}, {getopts, 2}]},
            {eid6_tcp_dist, inet6_tcp_dist, [{setopts, 2}, {getopts, 2}]},
            {eid_tls_dist, inet_tls_dist, [{childspecs, 0}]},
            {eid6_tls_dist, inet6_tls_dist, [{childspecs, 0}]},
            {epmd_docker_dist, inet_tcp_dist, [{setopts, 2}, {getopts, 2}]}
        ]
    ],
    {module, _} = code:ensure_loaded(dist_util),
    ?assert(erlang:function_exported(dist_util, split_node, 1)),
    ?assert(erlang:function_exported(dist_util, is_node_name, 1)).

nothing_on_stdout(_Config) ->
    ?assertEqual({0, ""}, testbed:erl(["-start_epmd", "false", ?EPMD, "-sname", "quiet", "-eval",
        "pang = net_adm:ping('a@no-such-host'), halt()."], [{"ERL_DIST_PORT", integer_to_list(testbed:free_port())}])).

count(Text, Word) -> length(binary:matches(Text, Word)).
