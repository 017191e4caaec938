%% What happens to a node itself and to the machine around it: names that no server resolves, clocks
%% that jump, no descriptors, no ports, code that is exchanged, askers that die. Scripted engines.
-module(faults_node_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-define(ID, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef").
-define(NODE, <<"app@web">>).
-define(PING, {200, "OK", "Api-Version: 1.41\r\n"}).
-define(NAME_SERVER, {127, 53, 0, 1}).

suite() -> [{timetrap, {minutes, 3}}].

all() ->
    [our_module_is_in_use, erlangs_name_server_hangs, the_systems_name_server_hangs, the_clock_jumps, no_descriptors,
        no_descriptors_from_the_first_lookup_on, no_ports, module_purged_and_loaded, owners_killed, upgrade_and_downgrade,
        restart_in_place].

init_per_suite(Config) ->
    ok = fault:new_table(?MODULE),
    Config.

end_per_suite(_) -> fault:write_table().

%% An engine that takes Ms for an answer and then closes the connection.
engine(Ms) -> engine(Ms, "Connection: close\r\n").

engine(Ms, Headers) ->
    fake_engine:start(fun
        ("/_ping") -> ?PING;
        (Path) -> timer:sleep(Ms), {200, inspect(Path), Headers}
    end, in_script).

%% Whatever container is asked for.
inspect(Path) ->
    {match, [Name]} = re:run(Path, "/containers/([^/]*)/json", [{capture, [1], list}]),
    string:replace(lists:flatten(fake_engine:inspect(?ID)), "web", Name, all).

env(Engine) -> env(Engine, "1000").

env(Engine, Timeout) ->
    [{"DOCKER_HOST", fake_engine:host(Engine)}, {"EPMD_DOCKER_ADDRESS", "published"}, {"EPMD_DOCKER_REMOTE_PORT", "12345"},
        {"EPMD_DOCKER_WATCH", "false"}, {"EPMD_DOCKER_TIMEOUT_MS", Timeout}].

is(Reason) -> fun(Result) -> Result =:= {error, Reason} end.

found({ok, #{port := 40000}}) -> true;
found(_) -> false.

connect(Posix) -> fun({error, {connect, <<"tcp://", _/binary>>, P}}) -> P =:= Posix; (_) -> false end.

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(_Config) ->
    Peer = fault:node(env(engine(0))),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])),
    testbed:stop(Peer).

%% ---------------------------------------------------------------------------------------------
%% Names
%% ---------------------------------------------------------------------------------------------

erlangs_name_server_hangs(Config) ->
    {Server, Port} = name_server({127, 0, 0, 1}, 0),
    Inetrc = filename:join(?config(priv_dir, Config), "hanging.inetrc"),
    ok = file:write_file(Inetrc, io_lib:format("{resolv_conf, \"\"}. {hosts_file, \"\"}. clear_ns. {lookup, [dns]}. "
        "{nameserver, {127,0,0,1}, ~b}. {timeout, 3000}. {retry, 3}.~n", [Port])),
    NotThere = fake_engine:start(fun("/_ping") -> ?PING; (_) -> {404, "{\"message\":\"No such container\"}"} end, in_script),
    Peer = fault:node(env(NotThere), #{flags => ["-kernel", "inetrc", "\"" ++ Inetrc ++ "\""]}),
    fault:row(Peer, #{fault => "the name server hangs (for Erlang; a name that Docker does not know)", inject => fun() -> Server ! hang end,
        mend => fun(_) -> Server ! answer, ok end, node => ?NODE, by => 1500,
        expect => fun({error, {status, 404, _}}) -> true; (_) -> false end,
        well => fun({ok, #{address := {127, 0, 0, 1}, source := fixed_port}}) -> true; (_) -> false end}),
    testbed:stop(Peer).

%% getaddrinfo(3), which asks the servers of /etc/resolv.conf: another one in a mount namespace.
the_systems_name_server_hangs(Config) ->
    {Server, _} = name_server(?NAME_SERVER, 53),
    Resolv = filename:join(?config(priv_dir, Config), "resolv.conf"),
    ok = file:write_file(Resolv, ["nameserver ", inet:ntoa(?NAME_SERVER), "\n"]),
    Engine = engine(0),
    Env = [{"DOCKER_HOST", "tcp://docker.fault.example.com:" ++ integer_to_list(fake_engine:port(Engine))} | env(Engine)],
    Peer = fault:node(lists:keydelete("DOCKER_HOST", 1, tl(Env)) ++ [hd(Env)], #{exec => {os:find_executable("unshare"),
        ["--mount", "sh", "-c", "mount --bind \"$0\" /etc/resolv.conf && exec erl \"$@\"", Resolv]}}),
    fault:row(Peer, #{fault => "the name server hangs (for the name of the daemon's host)", inject => fun() -> Server ! hang end,
        mend => fun(_) -> Server ! answer, ok end, node => ?NODE, by => 1500, expect => is(timeout), well => fun found/1}),
    testbed:stop(Peer).

%% Hears everything; answers with 127.0.0.1 to each name once it is told to, for nobody to remember.
name_server(Ip, Port) ->
    Test = self(),
    Server = spawn_link(fun() ->
        {ok, Socket} = gen_udp:open(Port, [binary, {ip, Ip}]),
        {ok, Taken} = inet:port(Socket),
        Test ! {self(), Taken},
        serve_names(Socket, hang)
    end),
    receive {Server, Taken} -> {Server, Taken} end.

serve_names(Socket, Mode) ->
    receive
        {udp, Socket, Ip, Port, <<Id:16, _:16, 1:16, _:48, Rest/binary>>} when Mode =:= answer ->
            Question = question(Rest, 0),
            <<_:(byte_size(Question) - 4)/binary, Type:16, _:16>> = Question,
            Answers = case Type of 1 -> <<16#c00c:16, 1:16, 1:16, 0:32, 4:16, 127, 0, 0, 1>>; _ -> <<>> end,
            Count = min(1, byte_size(Answers)),
            ok = gen_udp:send(Socket, Ip, Port, [<<Id:16, 16#8180:16, 1:16, Count:16, 0:32>>, Question, Answers]),
            serve_names(Socket, Mode);
        {udp, _, _, _, _} ->
            serve_names(Socket, Mode);
        Next when is_atom(Next) ->
            serve_names(Socket, Next)
    end.

%% Labels with their lengths, a zero, type and class.
question(Bytes, At) ->
    case binary:at(Bytes, At) of
        0 -> binary:part(Bytes, 0, At + 5);
        Length -> question(Bytes, At + 1 + Length)
    end.

%% ---------------------------------------------------------------------------------------------
%% Clocks
%% ---------------------------------------------------------------------------------------------

%% The wall clock alone: CLOCK_MONOTONIC, which all our limits are measured by, cannot be set.
the_clock_jumps(Config) ->
    case filelib:wildcard("/usr/lib/*/faketime/libfaketimeMT.so.1") of
        [Library | _] -> clock_jumps(Library, Config);
        [] -> testbed:missing("no libfaketime (Debian: faketime)", [])
    end.

clock_jumps(Library, Config) ->
    File = filename:join(?config(priv_dir, Config), "clock"),
    Set = fun(Offset) -> ok = file:write_file(File ++ ".new", Offset ++ "\n"), ok = file:rename(File ++ ".new", File) end,
    ok = Set("+0"),
    Engine = engine(0),
    Peer = fault:node([{"LD_PRELOAD", Library}, {"FAKETIME_TIMESTAMP_FILE", File}, {"FAKETIME_NO_CACHE", "1"},
        {"FAKETIME_DONT_FAKE_MONOTONIC", "1"}, {"DONT_FAKE_MONOTONIC", "1"} | env(Engine)]),
    Clock = fun() -> peer:call(Peer, os, system_time, [second]) - erlang:system_time(second) end,
    [fault:row(Peer, #{fault => "the clock jumps by " ++ Text, inject => fun() -> Set(Offset) end,
        meanwhile => fun(_) -> ?assert(abs(Clock() - Seconds) < 10, Clock()) end,
        mend => fun(_) -> Set("+0") end, node => ?NODE, by => 300, expect => fun found/1})
     || {Text, Offset, Seconds} <- [{"a day", "+86400", 86400}, {"minus a day", "-86400", -86400}]],
    testbed:stop(Peer).

%% ---------------------------------------------------------------------------------------------
%% Descriptors and ports
%% ---------------------------------------------------------------------------------------------

%% In interactive mode Erlang loads a module when it is called first, which takes a descriptor: without
%% one that call fails, whoever makes it. A release has all of them from its boot on.
limited(Engine) ->
    Peer = fault:node(env(Engine), #{exec => {os:find_executable("prlimit"), ["--nofile=200:200", os:find_executable("erl")]}}),
    _ = application:load(epmd_docker),
    Modules = [element(2, application:get_key(App, modules)) || App <- [epmd_docker, stdlib, kernel]],
    _ = peer:call(Peer, code, ensure_modules_loaded, [[fault, ?MODULE | lists:append(Modules)]], 20_000),
    Peer.

no_descriptors(_Config) ->
    Peer = limited(engine(0)),
    fault:works(Peer, ?NODE),
    fault:row(Peer, #{fault => "no descriptors left", inject => fun() -> exhaust(Peer) end,
        mend => fun(Holder) -> release(Peer, Holder) end, node => ?NODE, by => 300, expect => connect(emfile)}),
    testbed:stop(Peer).

%% Our thread, which needs some for itself, is not there yet.
no_descriptors_from_the_first_lookup_on(_Config) ->
    Peer = limited(engine(0)),
    fault:row(Peer, #{fault => "no descriptors left at the first lookup", inject => fun() -> exhaust(Peer) end,
        mend => fun(Holder) -> release(Peer, Holder) end, node => ?NODE, by => 300, connect => [],
        expect => fun({error, busy}) -> true; (Result) -> (connect(emfile))(Result) end}),
    testbed:stop(Peer).

exhaust(Peer) ->
    Holder = peer:call(Peer, erlang, spawn, [?MODULE, hold, []]),
    testbed:eventually(fun() -> peer:call(Peer, erlang, process_info, [Holder, dictionary]) =:= {dictionary, [{held, all}]} end, 5000),
    Holder.

%% In the node: opens files until there are no more descriptors. They end with the process.
hold() -> hold([]).

hold(Files) ->
    case file:open("/dev/zero", [read, raw]) of
        {ok, File} ->
            hold([File | Files]);
        {error, emfile} ->
            _ = put(held, all),
            %% What others close is taken too.
            receive after 1 -> hold(Files) end
    end.

release(Peer, Holder) ->
    true = peer:call(Peer, erlang, exit, [Holder, kill]),
    ok.

%% A network of its own with eight ports for all connections out of it, which another one has.
no_ports(_Config) ->
    %% docker0 is how a Docker host is recognised.
    Script = "ip link set lo up && ip link add docker0 type bridge && ip addr add 192.0.2.1/24 dev docker0 && echo 45000 45007 >/proc/sys/net/ipv4/ip_local_port_range && exec erl \"$@\"",
    Placeholder = engine(0),
    %% The engine is in there too.
    Port = testbed:free_port(),
    Env = [{"DOCKER_HOST", "tcp://127.0.0.1:" ++ integer_to_list(Port)} | tl(env(Placeholder))],
    Peer = fault:node(Env, #{exec => {os:find_executable("unshare"), ["--net", "sh", "-c", Script, "sh"]}}),
    _ = peer:call(Peer, erlang, spawn, [?MODULE, engine_at, [Port]]),
    fault:works(Peer, ?NODE),
    fault:row(Peer, #{fault => "no ports left for connections", inject => fun() -> take_port(Peer, Port) end,
        mend => fun(Holder) -> release(Peer, Holder) end, node => ?NODE, by => 300, expect => connect(eaddrnotavail)}),
    testbed:stop(Peer).

take_port(Peer, Port) ->
    Holder = peer:call(Peer, erlang, spawn, [?MODULE, hold_port, [Port]]),
    testbed:eventually(fun() -> peer:call(Peer, erlang, process_info, [Holder, dictionary]) =:= {dictionary, [{held, all}]} end, 5000),
    Holder.

%% In the node: all connections to this port that there can be.
hold_port(Port) -> hold_port(Port, []).

hold_port(Port, Sockets) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, [{linger, {true, 0}}, {active, false}]) of
        {ok, Socket} -> hold_port(Port, [Socket | Sockets]);
        {error, eaddrnotavail} -> put(held, all), receive Sockets -> ok end
    end.

%% In the node: an engine that closes each connection after its answer, before the other side does, whose port
%% is then free at once.
engine_at(Port) ->
    {ok, Listen} = gen_tcp:listen(Port, [binary, {active, false}, {reuseaddr, true}, {ip, {127, 0, 0, 1}}]),
    serve(Listen).

serve(Listen) ->
    {ok, Socket} = gen_tcp:accept(Listen),
    Pid = spawn(fun() -> receive go -> answer(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    serve(Listen).

answer(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, _} ->
            Body = iolist_to_binary(fake_engine:inspect(?ID)),
            ok = gen_tcp:send(Socket, ["HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nConnection: close\r\nContent-Length: ",
                integer_to_list(byte_size(Body)), "\r\n\r\n", Body]),
            gen_tcp:close(Socket);
        {error, _} ->
            gen_tcp:close(Socket)
    end.

%% ---------------------------------------------------------------------------------------------
%% Code and processes
%% ---------------------------------------------------------------------------------------------

module_purged_and_loaded(_Config) ->
    Peer = fault:node(env(engine(300))),
    {_, Binary, File} = peer:call(Peer, code, get_object_code, [epmd_docker_nif]),
    Reload = fun() ->
        _ = peer:call(Peer, code, purge, [epmd_docker_nif]),
        {module, _} = peer:call(Peer, code, load_binary, [epmd_docker_nif, File, Binary])
    end,
    in_flight(Peer, "the module of the NIF is purged and loaded again, three times, with 64 lookups in flight", fun() -> [Reload() || _ <- [1, 2, 3]] end),
    testbed:stop(Peer).

owners_killed(_Config) ->
    Peer = fault:node(env(engine(300), "3000")),
    fault:row(Peer, #{fault => "64 askers are killed while they wait", connect => [], inject => fun() ->
        Pids = [peer:call(Peer, erlang, spawn, [epmd_docker, resolve, [name(I)]]) || I <- lists:seq(1, 64)],
        testbed:eventually(fun() -> flying(Peer) >= 60 end, 3000, flying),
        [true = peer:call(Peer, erlang, exit, [Pid, kill]) || Pid <- Pids],
        testbed:eventually(fun() -> flying(Peer) =< 1 end, 250, flying)
    end, mend => fun(_) -> ok end, node => ?NODE, by => 1000, expect => fun found/1}),
    testbed:stop(Peer).

flying(Peer) ->
    #{daemons := Daemons} = peer:call(Peer, epmd_docker, info, []),
    lists:sum([N || #{in_flight := N} <- Daemons]).

name(I) -> <<"app@web", (integer_to_binary(I))/binary>>.

%% OTP's own steps, from an .appup that loads every module, to another version at another path and back.
upgrade_and_downgrade(Config) ->
    Old = code:lib_dir(epmd_docker),
    {New, OldVsn} = new_version(Old, filename:join(?config(priv_dir, Config), "epmd_docker-99.0.0")),
    Peer = fault:node([{"EPMD_DOCKER_NODES", "a@10.0.0.1:8001"} | env(engine(300))]),
    [{ok, _} = peer:call(Peer, application, ensure_all_started, [App]) || App <- [sasl, epmd_docker]],
    Down = fun() -> peer:call(Peer, release_handler, downgrade_app, [epmd_docker, OldVsn, Old], 20_000) end,
    in_flight(Peer, "an upgrade to another version (`release_handler`), with 64 lookups in flight", fun() ->
        %% Where the row is tried again.
        _ = Down(),
        {ok, _} = peer:call(Peer, release_handler, upgrade_app, [epmd_docker, New], 20_000),
        Which = peer:call(Peer, code, which, [epmd_docker_nif]),
        ?assertEqual(filename:join([New, "ebin", "epmd_docker_nif.beam"]), Which)
    end),
    ?assertMatch([{'a@10.0.0.1', "10.0.0.1", 8001}], peer:call(Peer, epmd_docker, list_nodes, [])),
    in_flight(Peer, "the downgrade, with 64 lookups in flight", fun() ->
        _ = Down(),
        ?assertEqual(filename:join([Old, "ebin", "epmd_docker_nif.beam"]), peer:call(Peer, code, which, [epmd_docker_nif]))
    end),
    testbed:stop(Peer).

new_version(Old, New) ->
    [begin
        ok = filelib:ensure_dir(filename:join([New, Sub, "x"])),
        {ok, _} = file:copy(File, filename:join([New, Sub, filename:basename(File)]))
     end || Sub <- ["ebin", "priv"], File <- filelib:wildcard(filename:join([Old, Sub, "*"])), filelib:is_regular(File)],
    App = filename:join([New, "ebin", "epmd_docker.app"]),
    {ok, [{application, epmd_docker, Keys}]} = file:consult(App),
    {vsn, Vsn} = lists:keyfind(vsn, 1, Keys),
    {modules, Modules} = lists:keyfind(modules, 1, Keys),
    ok = file:write_file(App, io_lib:format("~p.~n", [{application, epmd_docker, lists:keystore(vsn, 1, Keys, {vsn, "99.0.0"})}])),
    Load = [{load_module, Module} || Module <- Modules],
    ok = file:write_file(filename:join([New, "ebin", "epmd_docker.appup"]),
        io_lib:format("~p.~n", [{"99.0.0", [{Vsn, Load}], [{Vsn, Load}]}])),
    {New, Vsn}.

%% 64 lookups are under way while Change happens: each is answered as if nothing had.
in_flight(Peer, Fault, Change) ->
    fault:row(Peer, #{fault => Fault, node => ?NODE, by => 1500, expect => fun found/1, mend => fun(_) -> ok end, inject => fun() ->
        Test = self(),
        Lookups = spawn_link(fun() ->
            Test ! {self(), peer:call(Peer, faults_daemon_SUITE, all_at_once, [[name(I) || I <- lists:seq(1, 64)]], 20_000)}
        end),
        testbed:eventually(fun() -> flying(Peer) >= 60 end, 3000, flying),
        _ = Change(),
        receive {Lookups, Answers} -> ?assertEqual([], [Answer || {_, Answer} <- Answers, not found(Answer)]) end
    end}).

%% The same operating system process boots again; its probe ends with it, so there is no row by fault:row/2.
restart_in_place(_Config) ->
    Port = testbed:free_port(),
    Engine = engine(300),
    Args = ["-pa", filename:dirname(code:which(?MODULE)), "-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "secret", "-name"],
    Control = testbed:peer(#{args => Args ++ ["edf_control@127.0.0.1", "-hidden"], env => [{"EPMD_DOCKER_REMOTE_PORT", integer_to_list(Port)}]}),
    Peer = testbed:peer(#{args => Args ++ ["edf_restarts@127.0.0.1"], env => [{"ERL_DIST_PORT", integer_to_list(Port)},
        {"EPMD_DOCKER_REMOTE_PORT", "12345"}, {"EPMD_DOCKER_DAEMON_PORT", integer_to_list(fake_engine:port(Engine))}]}),
    Rpc = fun(M, F, A) -> peer:call(Control, rpc, call, ['edf_restarts@127.0.0.1', M, F, A, 5000], 20_000) end,
    Id = lists:sublist(?ID, 12) ++ "@127.0.0.1",
    [_ = Rpc(erlang, spawn, [epmd_docker, resolve, [Id]]) || _ <- lists:seq(1, 64)],
    {OsPid, Creation} = {Rpc(os, getpid, []), Rpc(erlang, system_info, [creation])},
    ok = Rpc(init, restart, []),
    testbed:eventually(fun() -> is_integer(Rpc(erlang, system_info, [creation])) andalso Rpc(erlang, system_info, [creation]) =/= Creation end, 20_000),
    {Ms, Result} = testbed:elapsed(fun() -> Rpc(epmd_docker, resolve, [Id]) end),
    ?assert(found(Result), Result),
    ?assert(Ms < 1000, Ms),
    ?assertEqual(OsPid, Rpc(os, getpid, [])),
    ok = fault:note("`init:restart/0`, with 64 lookups in flight", Result, Ms),
    _ = Rpc(erlang, halt, [0]),
    testbed:stop(Peer),
    testbed:stop(Control).
