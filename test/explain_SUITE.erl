%% explain/1: broken set-ups, each with its cause as a term and as the first line for people.
-module(explain_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 2}}].

all() -> [{group, plain}, {group, tls}, {group, containers}, {group, hosts}].

groups() ->
    [
        {plain, [], [
            our_module_is_in_use,
            nothing_is_wrong,
            the_other_side_notices_next_to_nothing,
            a_connection_right_after_it,
            this_node,
            node_without_a_name,
            every_step_with_its_time,
            no_node_name,
            wrong_cookie,
            cookie_for_one_node,
            short_against_long_names,
            nothing_listens,
            something_else_listens,
            silence_and_hanging_up,
            nothing_steers_the_terminal,
            not_allowed,
            two_nodes_with_our_name,
            another_epmd_module,
            host_not_allowed,
            no_daemon,
            silent_daemon,
            no_permission,
            ambiguous_id,
            no_native_library,
            dns_fails,
            ipv6_only,
            printed_over_rpc,
            erl_call,
            command_line
        ]},
        {tls, [], [tls_nothing_is_wrong, tls_wrong_ca, tls_without_files, tls_against_plain]},
        {containers, [], [
            a_container_that_is_well,
            another_name,
            not_published,
            wrong_network,
            stopped_container,
            two_containers_of_one_name,
            epmd_without_the_name,
            other_dist_port,
            published_for_ipv6_only
        ]},
        {hosts, [], [published_on_loopback, daemon_of_a_host_is_down]}
    ].

init_per_suite(Config) -> Config.

end_per_suite(_) -> ok.

%% One node that asks and one that is asked.
init_per_group(plain, Config) ->
    Port = testbed:free_port(),
    Server = long("server", [], [{"ERL_DIST_PORT", integer_to_list(Port)}]),
    Asker = long("asker", ["-pa", filename:dirname(code:which(?MODULE))], []),
    ok = peer:call(Asker, epmd_docker, add_node, ['server@127.0.0.1', Port]),
    [{server, unlinked(Server)}, {port, Port}, {asker, unlinked(Asker)} | Config];
init_per_group(tls, Config) ->
    Dir = filename:join(?config(priv_dir, Config), "tls"),
    [certificate(filename:join(Dir, Ca)) || Ca <- ["one", "two"]],
    Port = testbed:free_port(),
    Server = tls("tls_server", filename:join(Dir, "one"), [{"ERL_DIST_PORT", integer_to_list(Port)}]),
    [{server, unlinked(Server)}, {port, Port}, {certs, Dir} | Config];
init_per_group(containers, Config) ->
    case testbed:engine() of
        ok ->
            testbed:remove_all(main),
            _ = testbed:image(),
            [{asker, unlinked(short("shell", [], []))} | Config];
        Skip ->
            Skip
    end;
init_per_group(hosts, Config) ->
    case testbed:engine() of
        ok ->
            _ = testbed:image(),
            case testbed:lab_up([]) of
                ok ->
                    Asker = peer(["-name", unique("asker") ++ "@10.99.0.254", "-proto_dist", "eid_tcp",
                        "-kernel", "inet_dist_listen_min", "0"], []),
                    [{asker, unlinked(Asker)} | Config];
                Skip ->
                    Skip
            end;
        Skip ->
            Skip
    end.

end_per_group(Group, Config) ->
    [testbed:stop(Peer) || Key <- [server, asker], Peer <- [?config(Key, Config)], is_pid(Peer)],
    case Group of
        containers -> testbed:remove_all(main);
        hosts -> testbed:lab_down();
        _ -> ok
    end.

end_per_testcase(_, Config) ->
    case ?config(tc_group_properties, Config) of
        [{name, containers} | _] -> testbed:remove_all(main);
        _ -> ok
    end.

%% ---------------------------------------------------------------------------------------------
%% Nodes
%% ---------------------------------------------------------------------------------------------

peer(Args, Env) -> peer(Args, Env, #{}).

%% Without Docker and epmd, unless the case says otherwise.
peer(Args, Env, More) ->
    testbed:peer(More#{
        args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "secret" | Args],
        env => Env ++ [{"EPMD_DOCKER_EPMD", "false"}]
    }).

long(Name, Args, Env) ->
    peer(["-name", Name ++ "@127.0.0.1" | Args], [{"DOCKER_HOST", "unix:///nonexistent/docker.sock"} | Env]).

short(Name, Args, Env) -> peer(["-sname", unique(Name) | Args], Env).

tls(Name, Certs, Env) ->
    OptFile = filename:join(testbed:root(), "examples/tls_mesh/ssl_dist.conf"),
    peer(["-proto_dist", "inet_tls", "-ssl_dist_optfile", OptFile, "-sname", Name ++ "@localhost"],
        [{"TLS_DIR", Certs} | Env]).

%% A CA of its own and a certificate for localhost, where ssl_dist.conf expects them.
certificate(Dir) ->
    Tool = filename:join(testbed:root(), "examples/tls_mesh/mk-certs"),
    {ok, _} = testbed:sh([Tool, "ca", Dir]),
    {ok, _} = testbed:sh([Tool, "node", Dir, "localhost"]),
    [{ok, _} = file:copy(filename:join(Dir, "localhost" ++ End), filename:join(Dir, "node" ++ End))
     || End <- [".pem", ".key"]].

unlinked(Peer) ->
    true = unlink(Peer),
    Peer.

unique(Name) -> Name ++ integer_to_list(erlang:unique_integer([positive])).

explain(Peer, Node) ->
    peer:call(Peer, epmd_docker, explain, [Node], 30_000).

%% The cause as a term, and what its first line says beside the name.
caused(Peer, Node, Cause, Words) ->
    #{cause := Actual} = Explanation = explain(Peer, Node),
    ?assertEqual(Cause, Actual, Explanation),
    Text = unicode:characters_to_list(peer:call(Peer, epmd_docker_explain_text, format, [Explanation])),
    [First | _] = string:split(Text, "\n"),
    [?assertNotEqual(nomatch, string:find(First, Word), {First, Word}) || Word <- [as_text(Node) | Words]],
    %% Cookies are for nobody's eyes.
    ?assertEqual(nomatch, string:find(Text, "secret"), Text),
    ?assertEqual(nomatch, string:find(lists:flatten(io_lib:format("~p", [Explanation])), "secret")),
    Explanation.

as_text(Node) when is_atom(Node) -> ["'", atom_to_list(Node), "'"];
as_text(Node) -> Node.

at(Port) -> {{127, 0, 0, 1}, Port}.

connect(Peer, Node) -> peer:call(Peer, net_kernel, connect_node, [Node], 15_000).

%% ---------------------------------------------------------------------------------------------
%% Nodes on this machine
%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    ?assertEqual(epmd_docker, peer:call(?config(asker, Config), net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(?config(asker, Config), epmd_docker, info, [])).

nothing_is_wrong(Config) ->
    Asker = ?config(asker, Config),
    Place = {{127, 0, 0, 1}, ?config(port, Config)},
    #{kind := table, found := #{source := table}, actual := <<"server@127.0.0.1">>,
        candidates := [#{via := table, verdict := taken}], steps := Steps} =
        caused(Asker, 'server@127.0.0.1', none, ["can be reached", "takes our cookie"]),
    ?assertMatch([{ok, Place}], [Result || #{step := lookup, result := Result} <- Steps]),
    ?assertEqual([], peer:call(Asker, erlang, nodes, [connected])),
    ?assert(connect(Asker, 'server@127.0.0.1')),
    _ = caused(Asker, 'server@127.0.0.1', connected, ["is connected"]),
    true = peer:call(Asker, erlang, disconnect_node, ['server@127.0.0.1']).

%% No name of ours comes up there, its connections live on, and to ask it often leaves few atoms: it
%% gives each asker a name out of a pool, and another one only where the last has not come back yet.
the_other_side_notices_next_to_nothing(Config) ->
    {Asker, Server} = {?config(asker, Config), ?config(server, Config)},
    ?assert(connect(Asker, 'server@127.0.0.1')),
    _ = explain(Asker, 'server@127.0.0.1'),
    Atoms = peer:call(Server, erlang, system_info, [atom_count]),
    [#{cause := connected} = explain(Asker, 'server@127.0.0.1') || _ <- lists:seq(1, 20)],
    More = peer:call(Server, erlang, system_info, [atom_count]) - Atoms,
    ?assert(More =< 5, More),
    ?assertEqual(['asker@127.0.0.1'], peer:call(Server, erlang, nodes, [])),
    testbed:eventually(fun() -> peer:call(Server, erlang, nodes, [hidden]) =:= [] end, 5000),
    true = peer:call(Asker, erlang, disconnect_node, ['server@127.0.0.1']).

%% To have been told our name is no reason to turn us away: net_kernel there has forgotten it.
a_connection_right_after_it(Config) ->
    {Asker, Server} = {?config(asker, Config), ?config(server, Config)},
    testbed:eventually(fun() -> place_of_asker(Server) =:= [] end, 5000),
    [
        begin
            ?assertMatch(#{cause := none, steps := [_ | _]}, explain(Asker, 'server@127.0.0.1'), Nth),
            ?assertEqual([], place_of_asker(Server), Nth)
        end
     || Nth <- lists:seq(1, 30)
    ],
    ?assert(connect(Asker, 'server@127.0.0.1')),
    ?assertMatch([_], place_of_asker(Server)),
    true = peer:call(Asker, erlang, disconnect_node, ['server@127.0.0.1']),
    testbed:eventually(fun() -> place_of_asker(Server) =:= [] end, 5000).

%% In net_kernel's own table of connections, also those that begin (OTP 25 to 29).
place_of_asker(Server) -> peer:call(Server, ets, lookup, [sys_dist, 'asker@127.0.0.1']).

this_node(Config) ->
    _ = caused(?config(asker, Config), 'asker@127.0.0.1', this_node, ["is this node"]).

%% `-sname undefined': it gets its name with its first connection, and this is none.
node_without_a_name(Config) ->
    Nameless = peer(["-name", "undefined@127.0.0.1", "-dist_listen", "false"], [{"EPMD_DOCKER_NODES", node_at(Config)}]),
    #{own := #{node := nonode@nohost}} = caused(Nameless, 'server@127.0.0.1', none, ["takes our cookie"]),
    _ = caused(Nameless, 'app@web', {name_domain, short}, ["-sname"]),
    ?assertEqual(nonode@nohost, peer:call(Nameless, erlang, node, [])),
    testbed:stop(Nameless).

every_step_with_its_time(Config) ->
    #{steps := Steps, settings := Settings, own := Own} = explain(?config(asker, Config), "server@127.0.0.1"),
    ?assertEqual([name, settings, library, lookup, tcp, handshake, cookie, own_name], [Step || #{step := Step} <- Steps]),
    [?assert(is_float(Ms) andalso Ms >= 0 andalso Ms < 5000, Step) || #{ms := Ms} = Step <- Steps],
    ?assertMatch(#{timeout := {4000, default}}, Settings),
    ?assertEqual(#{node => 'asker@127.0.0.1', protocol => tcp, family => inet}, Own),
    #{settings := Docker} = explain(?config(asker, Config), "app@web"),
    ?assertEqual(#{}, Docker, "the name domain is what stops it").

no_node_name(Config) ->
    [
        begin
            #{cause := Cause, steps := []} = Explanation = explain(?config(asker, Config), Bad),
            ?assertMatch({bad_node_name, _}, Cause),
            ?assert(is_list(peer:call(?config(asker, Config), epmd_docker, explain, [Bad, text])), Explanation)
        end
     || Bad <- [nonode, "", "a@", "@b", 17, {a, b}, <<255, 254>>, [$a, $@ | b], #{}]
    ].

wrong_cookie(Config) ->
    Stranger = peer(["-name", "stranger@127.0.0.1", "-setcookie", "other"], [{"EPMD_DOCKER_NODES", node_at(Config)}]),
    true = peer:call(Stranger, erlang, set_cookie, [other]),
    _ = caused(Stranger, 'server@127.0.0.1', wrong_cookie, ["refuses our cookie"]),
    testbed:stop(Stranger).

node_at(Config) -> "server@127.0.0.1:" ++ integer_to_list(?config(port, Config)).

%% erlang:set_cookie/2 counts here as it does for a connection.
cookie_for_one_node(Config) ->
    Asker = ?config(asker, Config),
    true = peer:call(Asker, erlang, set_cookie, ['server@127.0.0.1', other]),
    _ = caused(Asker, 'server@127.0.0.1', wrong_cookie, ["refuses our cookie"]),
    true = peer:call(Asker, erlang, set_cookie, ['server@127.0.0.1', secret]),
    _ = caused(Asker, 'server@127.0.0.1', none, []).

short_against_long_names(Config) ->
    _ = caused(?config(asker, Config), 'app@web', {name_domain, short}, ["-sname", "cannot be reached"]),
    Short = short("short", [], []),
    _ = caused(Short, '0123456789ab@10.0.0.1', {name_domain, long}, ["-name"]),
    testbed:stop(Short).

nothing_listens(Config) ->
    Port = testbed:free_port(),
    ok = peer:call(?config(asker, Config), epmd_docker, add_node, ['dead@127.0.0.1', Port]),
    _ = caused(?config(asker, Config), 'dead@127.0.0.1', {no_connection, at(Port), econnrefused},
        ["nothing listens at 127.0.0.1:" ++ integer_to_list(Port), "node table"]).

something_else_listens(Config) ->
    {ok, _} = application:ensure_all_started(inets),
    Dir = ?config(priv_dir, Config),
    {ok, Server} = inets:start(httpd, [{port, 0}, {server_name, "web"}, {server_root, Dir}, {document_root, Dir},
        {bind_address, {127, 0, 0, 1}}]),
    [{port, Port}] = httpd:info(Server, [port]),
    ok = peer:call(?config(asker, Config), epmd_docker, add_node, ['web@127.0.0.1', Port]),
    #{cause := {not_erlang, _, Head}} = explain(?config(asker, Config), 'web@127.0.0.1'),
    _ = caused(?config(asker, Config), 'web@127.0.0.1', {not_erlang, at(Port), Head},
        ["something else than an Erlang node", "it says \"HTTP/1.1 4"]),
    ok = inets:stop(httpd, Server),
    %% One that greets.
    {Greeting, Stop} = listener(fun(Socket) -> gen_tcp:send(Socket, "220 mail.example ESMTP\r\n") end),
    ok = peer:call(?config(asker, Config), epmd_docker, add_node, ['mail@127.0.0.1', Greeting]),
    _ = caused(?config(asker, Config), 'mail@127.0.0.1', {not_erlang, at(Greeting), <<"220 mail.example ESMTP">>},
        ["it says \"220 mail.example ESMTP\""]),
    Stop().

silence_and_hanging_up(Config) ->
    {Silent, Stop} = listener(fun(_) -> ok end),
    {Closing, Stop2} = listener(fun(Socket) -> gen_tcp:close(Socket) end),
    [ok = peer:call(?config(asker, Config), epmd_docker, add_node, [Node, Port])
     || {Node, Port} <- [{'silent@127.0.0.1', Silent}, {'closing@127.0.0.1', Closing}]],
    {Ms, _} = testbed:elapsed(fun() ->
        caused(?config(asker, Config), 'silent@127.0.0.1', {no_answer, at(Silent)}, ["does not answer"])
    end),
    ?assert(Ms < 6000, Ms),
    _ = caused(?config(asker, Config), 'closing@127.0.0.1', {hung_up, at(Closing)}, ["hangs up"]),
    %% A node of some other kind.
    {Odd, Stop3} = listener(fun(Socket) -> gen_tcp:send(Socket, <<0, 6, "sweird">>) end),
    ok = peer:call(?config(asker, Config), epmd_docker, add_node, ['odd@127.0.0.1', Odd]),
    _ = caused(?config(asker, Config), 'odd@127.0.0.1', {status, <<"weird">>}, ["with the word \"weird\""]),
    [End() || End <- [Stop, Stop2, Stop3]].

%% What answers calls itself something that no node would.
nothing_steers_the_terminal(Config) ->
    Name = <<"a\e[2J\n@127.0.0.1">>,
    Frames = [<<"snamed:", 3:16, "x@y", 1:32>>, <<"N", 0:64, 1:32, 1:32, (byte_size(Name)):16, Name/binary>>],
    {Port, Stop} = listener(fun(Socket) -> gen_tcp:send(Socket, [[<<(byte_size(F)):16>>, F] || F <- Frames]) end),
    Asker = ?config(asker, Config),
    ok = peer:call(Asker, epmd_docker, add_node, ['evil@127.0.0.1', Port]),
    _ = caused(Asker, 'evil@127.0.0.1', {other_name, Name}, ["calls itself 'a.[2J.@127.0.0.1'"]),
    ?assertEqual([], [C || C <- peer:call(Asker, epmd_docker, explain, ['evil@127.0.0.1', text]), C < 32, C =/= $\n]),
    Stop().

%% A port where each connection is given to Fun, and then kept; a fun that ends it.
listener(Fun) ->
    Owner = self(),
    Pid = spawn_link(fun() ->
        {ok, Listen} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}]),
        {ok, Port} = inet:port(Listen),
        Owner ! {self(), Port},
        accept(Listen, Fun)
    end),
    receive {Pid, Port} -> {Port, fun() -> unlink(Pid), exit(Pid, kill) end} end.

accept(Listen, Fun) ->
    {ok, Socket} = gen_tcp:accept(Listen),
    _ = Fun(Socket),
    accept(Listen, Fun).

%% net_kernel:allow/1 cannot be taken back.
not_allowed(Config) ->
    Port = testbed:free_port(),
    Closed = long("closed", [], [{"ERL_DIST_PORT", integer_to_list(Port)}]),
    Asker = ?config(asker, Config),
    ok = peer:call(Asker, epmd_docker, add_node, ['closed@127.0.0.1', Port]),
    ok = peer:call(Closed, net_kernel, allow, [['somebody@elsewhere.example']]),
    _ = caused(Asker, 'closed@127.0.0.1', not_allowed, ["net_kernel:allow/1", "not among them"]),
    ok = peer:call(Closed, net_kernel, allow, [['asker@127.0.0.1']]),
    _ = caused(Asker, 'closed@127.0.0.1', {cookie_not_checked, not_allowed_without_name}, ["may be reached"]),
    testbed:stop(Closed).

two_nodes_with_our_name(Config) ->
    Twin = long("asker", [], [{"EPMD_DOCKER_NODES", node_at(Config)}]),
    ?assert(connect(Twin, 'server@127.0.0.1')),
    _ = caused(?config(asker, Config), 'server@127.0.0.1', {name_taken, 'asker@127.0.0.1'},
        ["calls itself 'asker@127.0.0.1'"]),
    %% To ask has not cost the twin its connection.
    ?assertEqual(['server@127.0.0.1'], peer:call(Twin, erlang, nodes, [])),
    ?assertEqual('server@127.0.0.1', peer:call(Twin, rpc, call, ['server@127.0.0.1', erlang, node, []])),
    testbed:stop(Twin).

another_epmd_module(Config) ->
    Stock = testbed:peer(#{args => ["-start_epmd", "false", "-erl_epmd_port", "0", "-setcookie", "secret",
        "-name", "stock@127.0.0.1", "-dist_listen", "false"], env => [{"EPMD_DOCKER_NODES", node_at(Config)}]}),
    {ok, _} = peer:call(Stock, epmd_docker_boot, configure, []),
    _ = caused(Stock, 'server@127.0.0.1', {not_in_use, erl_epmd}, ["-epmd_module epmd_docker"]),
    testbed:stop(Stock).

host_not_allowed(Config) ->
    #{settings := Settings} = caused(?config(asker, Config), '0123456789ab@192.0.2.1', {host_not_allowed, <<"192.0.2.1">>},
        ["allowed_hosts"]),
    ?assertMatch(#{allowed_hosts := {undefined, default}, docker_daemon_port := {4243, default}}, Settings).

no_daemon(_Config) ->
    Host = "tcp://127.0.0.1:" ++ integer_to_list(testbed:free_port()),
    Peer = short("nodaemon", [], [{"DOCKER_HOST", Host}]),
    #{daemon := Daemon, settings := Settings} =
        caused(Peer, 'app@0123456789ab', {connect, list_to_binary(Host), econnrefused}, ["no connection to the Docker daemon", Host]),
    ?assertEqual(list_to_binary(Host), Daemon),
    ?assertMatch(#{docker_host := {Host, {os, "DOCKER_HOST"}}}, Settings),
    testbed:stop(Peer).

%% Nothing else of the node waits meanwhile.
silent_daemon(_Config) ->
    Engine = fake_engine:start(fun(_) -> hang end),
    Peer = short("silent", [], [{"DOCKER_HOST", fake_engine:host(Engine)}, {"EPMD_DOCKER_TIMEOUT_MS", "500"}]),
    Node = in("0123456789ab", "0123456789ab"),
    {Ms, _} = testbed:elapsed(fun() ->
        caused(Peer, Node, timeout, ["the Docker daemon at " ++ fake_engine:host(Engine) ++ " does not answer in time"])
    end),
    ?assert(Ms < 5000, Ms),
    testbed:stop(Peer),
    fake_engine:stop(Engine).

%% A socket as Docker makes it, and a node that may not use it.
no_permission(_Config) ->
    Dir = string:trim(os:cmd("mktemp -d /tmp/explain_SUITE.XXXXXX")),
    Path = filename:join(Dir, "docker.sock"),
    {ok, Listen} = gen_tcp:listen(0, [{ifaddr, {local, Path}}]),
    ok = file:change_mode(Path, 8#600),
    {ok, _} = testbed:sh(["chown", "nobody", Dir]),
    %% It can read the build, wherever that is, only from a copy.
    {ok, _} = testbed:sh(["cp", "-RL", filename:join(code:lib_dir(epmd_docker), "ebin"), Dir]),
    {ok, _} = testbed:sh(["cp", "-RL", filename:join(code:lib_dir(epmd_docker), "priv"), Dir]),
    {ok, _} = testbed:sh(["chmod", "-R", "a+rX", Dir]),
    ok = file:change_mode(Path, 8#600),
    {error, {1, Text}} = testbed:sh(["setpriv", "--reuid=nobody", "--clear-groups", "env", "HOME=" ++ Dir,
        "DOCKER_HOST=unix://" ++ Path, filename:join(Dir, "priv/bin/epmd_docker"), "explain", "app@0123456789ab",
        "-setcookie", "x"]),
    ?assertMatch({0, _}, {string:str(Text, "'app@0123456789ab' cannot be reached: no connection to the Docker daemon at unix://"
        ++ Path ++ ": permission denied (eacces)\n") - 1, Text}),
    ok = gen_tcp:close(Listen),
    ok = file:del_dir_r(Dir).

%% No real engine can be made to have two such ids.
ambiguous_id(_Config) ->
    Ids = ["0123456789ab" ++ lists:duplicate(52, Digit) || Digit <- "12"],
    List = io_lib:format("[~s]", [lists:join(",", [io_lib:format(
        "{\"Id\":\"~s\",\"Names\":[\"/n\"],\"State\":\"running\",\"Labels\":{}}", [Id]) || Id <- Ids])]),
    Engine = fake_engine:start(fun(Path) ->
        case {string:find(Path, "/containers/json"), [Id || Id <- Ids, string:find(Path, Id) =/= nomatch]} of
            {nomatch, [Id]} -> {200, fake_engine:inspect(Id)};
            {nomatch, []} -> {500, "{\"message\":\"Multiple IDs found with provided prefix: 0123456789ab\"}"};
            _ -> {200, List}
        end
    end),
    Peer = short("ambiguous", [], [{"DOCKER_HOST", fake_engine:host(Engine)}, {"EPMD_DOCKER_WATCH", "false"}]),
    _ = caused(Peer, 'app@0123456789ab', {ambiguous, [list_to_binary(Id) || Id <- Ids]}, ["several containers" | Ids]),
    testbed:stop(Peer),
    fake_engine:stop(Engine).

no_native_library(Config) ->
    App = filename:join(?config(priv_dir, Config), "no_library/epmd_docker"),
    ok = filelib:ensure_path(App),
    {ok, _} = testbed:sh(["cp", "-RL", filename:join(code:lib_dir(epmd_docker), "ebin"), App]),
    Peer = peer(["-sname", unique("nolib")], [], #{path => ["-pa", filename:join(App, "ebin")]}),
    #{cause := {nif_not_loaded, Detail}} = explain(Peer, 'app@0123456789ab'),
    _ = caused(Peer, 'app@0123456789ab', {nif_not_loaded, Detail}, ["the native library is not loaded"]),
    testbed:stop(Peer).

dns_fails(Config) ->
    _ = caused(?config(asker, Config), 'app@no-such-host.invalid', {dns, <<"no-such-host.invalid">>, nxdomain},
        ["the host name no-such-host.invalid has no address"]).

ipv6_only(Config) ->
    Rc = filename:join(?config(priv_dir, Config), "six.inetrc"),
    ok = file:write_file(Rc, "{lookup, [file]}. {host, {0,0,0,0,0,0,0,1}, [\"six.example.com\"]}.\n"),
    Peer = long("four", ["-kernel", "inetrc", "\"" ++ Rc ++ "\""], []),
    [caused(Peer, Node, {only_family, inet6}, ["only IPv6 addresses", "eid6_tcp"])
     || Node <- ['app@six.example.com', 'app@fd00::1.2.3.4', '0123456789ab@fd00::1']],
    testbed:stop(Peer).

%% ---------------------------------------------------------------------------------------------
%% Ways to ask
%% ---------------------------------------------------------------------------------------------

%% What is printed comes out where it was asked for.
printed_over_rpc(Config) ->
    Asker = ?config(asker, Config),
    ?assert(connect(Asker, 'server@127.0.0.1')),
    ok = peer:call(?config(server, Config), epmd_docker, add_node, ['dead@127.0.0.1', 1]),
    Text = peer:call(Asker, rpc, call, ['server@127.0.0.1', epmd_docker, explain, ['dead@127.0.0.1', text]]),
    ?assertMatch("'dead@127.0.0.1' cannot be reached: nothing listens at 127.0.0.1:1" ++ _, Text),
    {Out, ok} = peer:call(Asker, ?MODULE, captured, []),
    true = peer:call(Asker, erlang, disconnect_node, ['server@127.0.0.1']),
    ?assertMatch({_, [_ | _]}, {Out, string:find(Out, "'dead@127.0.0.1' cannot be reached: nothing listens")}).

%% On the asking node: what rpc printed to this process's group leader.
captured() ->
    Own = group_leader(),
    Leader = spawn_link(fun() -> leader([]) end),
    group_leader(Leader, self()),
    Result = rpc:call('server@127.0.0.1', epmd_docker, explain, ['dead@127.0.0.1', print]),
    group_leader(Own, self()),
    Leader ! {written, self()},
    receive {Leader, Written} -> {unicode:characters_to_list(Written), Result} end.

leader(Written) ->
    receive
        {io_request, From, As, {put_chars, _, Chars}} ->
            From ! {io_reply, As, ok},
            leader([Written, Chars]);
        {written, From} ->
            From ! {self(), Written}
    end.

%% Outside of any Erlang.
erl_call(Config) ->
    case erl_call_program() of
        false ->
            testbed:missing("no erl_call here", []);
        Program ->
            ok = peer:call(?config(server, Config), epmd_docker, add_node, ['dead@127.0.0.1', 1]),
            Address = "127.0.0.1:" ++ integer_to_list(?config(port, Config)),
            Call = fun(How) ->
                {ok, Out} = testbed:sh([Program, "-address", Address, "-c", "secret", "-fetch_stdout", "-a",
                    "epmd_docker explain ['dead@127.0.0.1'," ++ How ++ "]"]),
                ?assertNotEqual(nomatch, string:find(Out, "'dead@127.0.0.1' cannot be reached: nothing listens"), Out),
                Out
            end,
            %% The start script of a release does not fetch what is printed: `text` is for that.
            ?assertNotEqual(nomatch, string:find(Call("print"), "\n  name  ")),
            ?assertMatch("\"'dead@" ++ _, Call("text"))
    end.

erl_call_program() ->
    case os:find_executable("erl_call") of
        false ->
            case filelib:wildcard(filename:join(code:lib_dir(), "erl_interface-*/bin/erl_call")) of
                [Program | _] -> Program;
                [] -> false
            end;
        Program ->
            Program
    end.

%% Without a running node; with the flags of one it is one.
command_line(Config) ->
    Env = ["env", "DOCKER_HOST=unix:///nonexistent/docker.sock", "EPMD_DOCKER_NODES=" ++ node_at(Config)],
    Tool = Env ++ [filename:join(code:lib_dir(epmd_docker), "priv/bin/epmd_docker"), "explain"],
    {ok, Well} = testbed:sh(Tool ++ ["server@127.0.0.1", "-setcookie", "secret"]),
    ?assertMatch("'server@127.0.0.1' can be reached: " ++ _, Well),
    {error, {1, Wrong}} = testbed:sh(Tool ++ ["server@127.0.0.1", "-setcookie", "other"]),
    ?assertMatch("'server@127.0.0.1' cannot be reached: the node at 127.0.0.1:" ++ _, Wrong),
    ?assertNotEqual(nomatch, string:find(Wrong, "refuses our cookie")),
    {error, {1, Domain}} = testbed:sh(Tool ++ ["server@127.0.0.1", "-setcookie", "secret", "-start_epmd", "false",
        "-epmd_module", "epmd_docker", "-epmd_docker", "epmd", "false", "-sname", "tool@localhost"]),
    ?assertMatch("'server@127.0.0.1' cannot be reached: it is a long name" ++ _, Domain),
    {error, {1, Without}} = testbed:sh(["env", "HOME=/nonexistent", "XDG_CONFIG_HOME=/nonexistent" | Tool] ++ ["server@127.0.0.1"]),
    ?assertMatch("'server@127.0.0.1' may be reached: " ++ _, Without),
    ?assertNotEqual(nomatch, string:find(Without, "without a cookie of ours (-setcookie)")),
    {error, {2, Usage}} = testbed:sh(Tool),
    ?assertMatch("usage: " ++ _, Usage),
    {error, {2, Bad}} = testbed:sh(["env", "EPMD_DOCKER_TIMEOUT_MS=x" | Tool] ++ ["a@b"]),
    ?assertMatch("epmd_docker: bad setting timeout" ++ _, Bad).

%% ---------------------------------------------------------------------------------------------
%% TLS
%% ---------------------------------------------------------------------------------------------

tls_node(Config) -> "tls_server@localhost:" ++ integer_to_list(?config(port, Config)).

tls_nothing_is_wrong(Config) ->
    Good = tls("good", filename:join(?config(certs, Config), "one"), [{"EPMD_DOCKER_NODES", tls_node(Config)}]),
    #{own := #{protocol := tls}} = caused(Good, 'tls_server@localhost', none, ["can be reached"]),
    ?assert(connect(Good, 'tls_server@localhost')),
    _ = caused(Good, 'tls_server@localhost', connected, []),
    testbed:stop(Good).

tls_wrong_ca(Config) ->
    Wrong = tls("wrong", filename:join(?config(certs, Config), "two"), [{"EPMD_DOCKER_NODES", tls_node(Config)}]),
    _ = caused(Wrong, 'tls_server@localhost', {tls_alert, unknown_ca, theirs},
        ["no TLS", "the certificate that it showed is not signed by a CA in the cacertfile of this node"]),
    testbed:stop(Wrong),
    %% Our certificate is the one that is not good.
    Mixed = filename:join(?config(certs, Config), "mixed"),
    ok = filelib:ensure_path(Mixed),
    [{ok, _} = file:copy(filename:join([?config(certs, Config), Ca, File]), filename:join(Mixed, File))
     || {Ca, File} <- [{"one", "ca.pem"}, {"two", "node.pem"}, {"two", "node.key"}]],
    Stranger = tls("stranger", Mixed, [{"EPMD_DOCKER_NODES", tls_node(Config)}]),
    _ = caused(Stranger, 'tls_server@localhost', {tls_alert, unknown_ca, ours},
        ["it does not know the CA that signed the certificate of this node"]),
    testbed:stop(Stranger).

%% What -ssl_dist_optfile names is not there.
tls_without_files(Config) ->
    Lost = tls("lost", "/nonexistent", [{"EPMD_DOCKER_NODES", tls_node(Config)}]),
    #{cause := {tls_failed, Detail}} = explain(Lost, 'tls_server@localhost'),
    _ = caused(Lost, 'tls_server@localhost', {tls_failed, Detail}, ["no TLS with the node there", "/nonexistent/"]),
    testbed:stop(Lost).

tls_against_plain(Config) ->
    Port = testbed:free_port(),
    Nodes = tls_node(Config) ++ " plain@localhost:" ++ integer_to_list(Port),
    Plain = peer(["-sname", "plain@localhost"], [{"EPMD_DOCKER_NODES", Nodes}, {"ERL_DIST_PORT", integer_to_list(Port)}]),
    Tls = tls("other", filename:join(?config(certs, Config), "one"), [{"EPMD_DOCKER_NODES", Nodes}]),
    _ = caused(Plain, 'tls_server@localhost', {speaks_tls, at(?config(port, Config))}, ["speaks TLS, and this node does not"]),
    _ = caused(Tls, 'plain@localhost', {speaks_plain_tcp, at(Port)}, ["speaks plain TCP, and this one TLS"]),
    [testbed:stop(Peer) || Peer <- [Plain, Tls]].

%% ---------------------------------------------------------------------------------------------
%% Containers
%% ---------------------------------------------------------------------------------------------

%% A container with an ordinary node; its short id.
container(Flags, ErlFlags) ->
    lists:sublist(testbed:run(main, Flags, ["erl", "-noinput", "-setcookie", "secret" | ErlFlags]), 12).

no_epmd(Name, Port) -> ["-start_epmd", "false", "-erl_epmd_port", integer_to_list(Port), "-sname", Name].

in(Name, Id) -> list_to_atom(Name ++ "@" ++ Id).

%% Until the node in there has booted: its cause is another one before.
booted(Asker, Node) ->
    testbed:eventually(fun() ->
        case explain(Asker, Node) of
            #{actual := _} -> true;
            #{cause := Cause} -> Cause
        end
    end, 20_000, Node).

a_container_that_is_well(Config) ->
    Asker = ?config(asker, Config),
    Id = container(["-p", "9171"], ["-sname", "app"]),
    Node = in("app", Id),
    booted(Asker, Node),
    #{kind := in_container, daemon := <<"unix:///var/run/docker.sock">>, container := #{id := Long}, port_from := epmd,
        candidates := Candidates, steps := Steps, settings := Settings} = caused(Asker, Node, none, ["can be reached"]),
    ?assertEqual(list_to_binary(Id), binary:part(Long, 0, 12)),
    ?assertMatch([#{via := {container, <<"bridge">>}, verdict := taken, port := epmd},
        #{via := published, verdict := {refused, port_unknown}}], Candidates),
    ?assertMatch(#{docker_host := {"unix:///var/run/docker.sock", default}}, Settings),
    ?assertEqual([name, settings, library, docker, lookup, tcp, handshake, cookie, own_name], [Step || #{step := Step} <- Steps]).

another_name(Config) ->
    Id = container(["--name", "edt_explained"], ["-sname", "app"]),
    booted(?config(asker, Config), in("app", Id)),
    Actual = "app@" ++ Id,
    _ = caused(?config(asker, Config), 'app@edt_explained', {other_name, list_to_binary(Actual)},
        ["calls itself '" ++ Actual ++ "'"]).

not_published(_Config) ->
    Id = container(["-l", "epmd-docker.port=9172"], no_epmd("app", 9172)),
    Published = short("published", [], [{"EPMD_DOCKER_ADDRESS", "published"}]),
    #{candidates := Candidates, port_from := label} =
        caused(Published, in("app", Id), {not_published, 9172}, ["port 9172 of the container is not published", "-p 9172"]),
    ?assertMatch([#{via := {container, _}, verdict := {refused, not_wanted}}, #{via := published, verdict := {refused, not_published}}],
        Candidates),
    testbed:stop(Published).

wrong_network(_Config) ->
    Id = container([], ["-sname", "app"]),
    Other = short("network", [], [{"EPMD_DOCKER_NETWORK", "edt_other"}]),
    #{candidates := [#{verdict := {refused, other_network}} | _], settings := Settings} =
        caused(Other, in("app", Id), {no_network, [<<"bridge">>]}, ["no network that can be reached", "bridge"]),
    ?assertMatch(#{network := {<<"edt_other">>, {os, "EPMD_DOCKER_NETWORK"}}}, Settings),
    testbed:stop(Other).

stopped_container(Config) ->
    Id = container([], ["-sname", "app"]),
    testbed:docker(main, ["kill", Id]),
    #{container := #{hostname := Hostname}, candidates := []} =
        caused(?config(asker, Config), in("app", Id), {not_running, exited}, ["is not running", "exited"]),
    ?assertEqual(list_to_binary(Id), Hostname).

two_containers_of_one_name(Config) ->
    Ids = lists:sort([list_to_binary(testbed:run(main, ["--hostname", "edt-twin"], ["sleep", "100"])) || _ <- [1, 2]]),
    _ = caused(?config(asker, Config), 'app@edt-twin', {ambiguous, Ids}, ["several containers fit that name"]).

epmd_without_the_name(Config) ->
    Id = container([], ["-sname", "app"]),
    booted(?config(asker, Config), in("app", Id)),
    {ok, #{address := Ip}} = peer:call(?config(asker, Config), epmd_docker, resolve, [in("app", Id)]),
    #{steps := Steps} = caused(?config(asker, Config), in("other", Id), {not_in_epmd, <<"other">>, Ip},
        ["the epmd at " ++ inet:ntoa(Ip) ++ " knows no node other, only app"]),
    ?assertMatch(#{step := epmd, result := {ok, [{"app", _}]}}, lists:last(Steps)).

%% One side has 9173, the other expects 9174.
other_dist_port(Config) ->
    Id = container([], no_epmd("app", 9173)),
    Good = short("same", [], [{"ERL_DIST_PORT", "9173"}]),
    booted(Good, in("app", Id)),
    testbed:stop(Good),
    Peer = short("differs", [], [{"ERL_DIST_PORT", "9174"}]),
    #{found := #{address := Ip}} = explain(Peer, in("app", Id)),
    #{port_from := remote_port} = caused(Peer, in("app", Id), {no_connection, {Ip, 9174}, econnrefused},
        ["nothing listens at", ":9174", "ERL_DIST_PORT"]),
    testbed:stop(Peer),
    %% Nothing tells any port there: no epmd either.
    #{steps := Steps} = caused(?config(asker, Config), in("app", Id), {not_in_epmd, <<"app">>, Ip}, ["no epmd answers at"]),
    ?assertMatch(#{step := epmd, result := {error, _}}, lists:last(Steps)).

published_for_ipv6_only(_Config) ->
    Id = container(["-p", "[::1]::9175", "-l", "epmd-docker.port=9175"], no_epmd("app", 9175)),
    Published = short("four", [], [{"EPMD_DOCKER_ADDRESS", "published"}]),
    #{candidates := Candidates} = caused(Published, in("app", Id), {only_family, inet6}, ["only IPv6 addresses"]),
    ?assertMatch([#{address := {0, 0, 0, 0, 0, 0, 0, 1}}], [One || #{verdict := {refused, other_family}} = One <- Candidates]),
    testbed:stop(Published).

%% ---------------------------------------------------------------------------------------------
%% Docker hosts
%% ---------------------------------------------------------------------------------------------

published_on_loopback(Config) ->
    Id = lists:sublist(testbed:run(1, ["-p", "127.0.0.1::12345"], ["sleep", "100"]), 12),
    Node = in(Id, testbed:lab_endpoint(1)),
    #{kind := on_host, candidates := Candidates, port_from := default} =
        caused(?config(asker, Config), Node, {loopback_only, 12345}, ["loopback address of its host only"]),
    ?assertMatch([#{via := {container, _}, verdict := {refused, name_of_host}},
        #{via := published, address := {127, 0, 0, 1}, verdict := {refused, loopback_only}}], Candidates).

daemon_of_a_host_is_down(_Config) ->
    Peer = peer(["-name", unique("asker") ++ "@10.99.0.254"], [{"EPMD_DOCKER_DAEMON_PORT", "4999"}]),
    Node = in("0123456789ab", testbed:lab_endpoint(1)),
    Endpoint = "tcp://" ++ testbed:lab_endpoint(1) ++ ":4999",
    #{settings := Settings} = caused(Peer, Node, {connect, list_to_binary(Endpoint), econnrefused}, [Endpoint]),
    ?assertMatch(#{docker_daemon_port := {4999, {os, "EPMD_DOCKER_DAEMON_PORT"}}}, Settings),
    testbed:stop(Peer).
