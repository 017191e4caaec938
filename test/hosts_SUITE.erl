%% Across hosts: ContainerId@HostAddr, on two real engines in network namespaces of their own.
%%
%% Both hosts have a bridge 172.17.0.0/16, so that the same container address exists twice. The
%% test looks into the nodes through a hidden node on this machine, which joins no mesh.
-module(hosts_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 3}}].

all() -> [{group, port_4243}, {group, port_4321}].

groups() ->
    [
        {port_4243, [], [
            our_module_is_in_use,
            full_mesh_after_one_ping,
            every_way_to_publish,
            restart_gives_a_new_port,
            epmd_module_alone,
            long_ids,
            equal_names_on_two_daemons,
            not_published,
            published_on_loopback,
            unknown_stopped_and_forbidden
        ]},
        {port_4321, [], [another_daemon_port]}
    ].

init_per_suite(Config) ->
    case testbed:engine() of
        ok ->
            _ = testbed:image(),
            Config;
        Skip ->
            Skip
    end.

end_per_suite(_) ->
    testbed:lab_down().

init_per_group(port_4243, Config) ->
    with_lab([], Config);
init_per_group(port_4321, Config) ->
    with_lab(["--port", "4321"], Config).

with_lab(Options, Config) ->
    case testbed:lab_up(Options) of
        ok ->
            Control = control([]),
            true = unlink(Control),
            [{control, Control} | Config];
        Skip ->
            Skip
    end.

end_per_group(_, Config) ->
    testbed:stop(?config(control, Config)),
    testbed:lab_down().

end_per_testcase(_, _) ->
    testbed:remove_all(1),
    testbed:remove_all(2).

control(Flags) ->
    testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-proto_dist", "eid_tcp",
        "-name", unique("control") ++ "@10.99.0.254", "-hidden", "-setcookie", "secret",
        "-kernel", "inet_dist_listen_min", "0" | Flags]}).

%% The machine may have an epmd, which knows a name for a while after its node has gone.
unique(Name) -> Name ++ integer_to_list(erlang:unique_integer([positive])).

-define(PLAIN, "-start_epmd false -epmd_module epmd_docker -proto_dist eid_tcp").

%% Starts a node in a container of a host, as a user would: its name as an atom.
start(Host, Flags) -> start(Host, Flags, ?PLAIN).

start(Host, Flags, ErlFlags) -> start(Host, Flags, ErlFlags, "$(hostname)").

start(Host, Flags, ErlFlags, IdExpression) ->
    Command = "exec erl -noinput " ++ ErlFlags ++ " -name " ++ IdExpression ++ "@" ++
        testbed:lab_endpoint(Host) ++ " -setcookie secret",
    testbed:run(Host, ["-e", "ERL_LIBS=/opt" | Flags], ["sh", "-c", Command]).

node(Id, Host) -> node_of(lists:sublist(Id, 12), Host).

node_of(Id, Host) -> list_to_atom(Id ++ "@" ++ testbed:lab_endpoint(Host)).

rpc(Config, Node, M, F, A) ->
    peer:call(?config(control, Config), rpc, call, [Node, M, F, A, 10_000], 15_000).

resolve(Config, Node) ->
    peer:call(?config(control, Config), epmd_docker, resolve, [Node], 10_000).

%% Until the node has booted and can be reached from this machine.
reached(Config, Node) ->
    testbed:eventually(
        fun() -> peer:call(?config(control, Config), net_kernel, connect_node, [Node], 10_000) end,
        20_000, {Node, resolve(Config, Node)}),
    ?assertEqual(epmd_docker, rpc(Config, Node, net_kernel, epmd_module, [])).

published(Host, Id, Port) ->
    [Line | _] = string:lexemes(testbed:docker(Host, ["port", Id, Port ++ "/tcp"]), "\n"),
    list_to_integer(lists:last(string:lexemes(Line, ":"))).

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    Control = ?config(control, Config),
    ?assertEqual(epmd_docker, peer:call(Control, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(Control, epmd_docker, info, [])).

%% Four nodes, two of them on one host; nobody adds a node anywhere.
full_mesh_after_one_ping(Config) ->
    Places = [1, 1, 2, 2],
    Nodes = [node(start(Host, ["-p", "12345"]), Host) || Host <- Places],
    [reached(Config, Node) || Node <- Nodes],
    [?assertEqual([], rpc(Config, Node, erlang, nodes, [])) || Node <- Nodes],
    [First | Others] = Nodes,
    %% A star is one ping from each to the first: global makes a full mesh of it.
    [?assertEqual(pong, rpc(Config, Node, net_adm, ping, [First])) || Node <- Others],
    [testbed:eventually(
        fun() -> lists:sort(rpc(Config, Node, erlang, nodes, [])) =:= lists:sort(Nodes -- [Node]) end,
        20_000, Node) || Node <- Nodes],
    [?assertEqual([], epmd_processes(Host)) || Host <- [1, 2]],
    %% Of each pair one side made the connection: to the other's host and published port.
    [?assert(made_by_docker(Config, A, B) orelse made_by_docker(Config, B, A), {A, B})
     || A <- Nodes, B <- Nodes, A < B],
    one_more_joins_with_one_ping(Config, Nodes).

one_more_joins_with_one_ping(Config, Nodes) ->
    New = node(start(2, ["-p", "12345"]), 2),
    reached(Config, New),
    ?assertEqual(pong, rpc(Config, New, net_adm, ping, [hd(Nodes)])),
    testbed:eventually(
        fun() -> lists:sort(rpc(Config, New, erlang, nodes, [])) =:= lists:sort(Nodes) end, 20_000, New).

%% Every process of every container of a host that is called epmd.
epmd_processes(Host) ->
    Ids = string:lexemes(testbed:docker(Host, ["ps", "-q"]), "\n"),
    [
        Line
     || Id <- Ids,
        Line <- string:lexemes(testbed:docker(Host, ["top", Id, "-eo", "pid,comm"]), "\n"),
        string:find(Line, "epmd") =/= nomatch
    ].

every_way_to_publish(Config) ->
    Cases = [
        {["-p", "12345"], ?PLAIN, "12345"},
        {["-p", "4000:12345"], ?PLAIN, "12345"},
        {["-P", "--expose", "12345"], ?PLAIN, "12345"},
        {["-p", "1234", "-l", "epmd-docker.port=1234"], ?PLAIN ++ " -kernel erlang_port 1234", "1234"},
        {["-p", "1235", "-e", "ERL_DIST_PORT=1235"], ?PLAIN, "1235"}
    ],
    [begin
        Id = start(2, Flags, ErlFlags),
        Node = node(Id, 2),
        reached(Config, Node),
        Port = published(2, Id, Inside),
        ?assertMatch({ok, #{address := {10, 99, 0, 2}, port := Port, source := published}}, resolve(Config, Node))
    end || {Flags, ErlFlags, Inside} <- Cases],
    %% One port for the whole cluster, which only our own setting tells: no label, no environment.
    Id = start(1, ["-p", "1236"], ?PLAIN ++ " -kernel erlang_port 1236"),
    Own = control(["-kernel", "erlang_port", "1236"]),
    testbed:eventually(fun() -> peer:call(Own, net_kernel, connect_node, [node(Id, 1)], 10_000) end, 20_000),
    testbed:stop(Own).

%% The next connect finds the new port; no other node is touched.
restart_gives_a_new_port(Config) ->
    Id = start(2, ["-p", "12345"]),
    Peer = node(Id, 2),
    Other = node(start(1, ["-p", "12345"]), 1),
    [reached(Config, Node) || Node <- [Peer, Other]],
    ?assertEqual(pong, rpc(Config, Other, net_adm, ping, [Peer])),
    Before = published(2, Id, "12345"),
    %% Take the old port, so that the engine has to choose another.
    testbed:docker(2, ["stop", "-t", "0", Id]),
    _ = start(2, ["-p", integer_to_list(Before) ++ ":12345"]),
    testbed:docker(2, ["start", Id]),
    ?assertNotEqual(Before, published(2, Id, "12345")),
    testbed:eventually(fun() -> rpc(Config, Other, net_adm, ping, [Peer]) =:= pong end, 20_000),
    testbed:docker(2, ["restart", "-t", "0", Id]),
    testbed:eventually(fun() ->
        rpc(Config, Other, net_adm, ping, [Peer]) =:= pong andalso
            {ok, published(2, Id, "12345")} =:= port_in_use(Config, Other, Peer)
    end, 20_000).

port_in_use(Config, Node, Peer) ->
    case address_in_use(Config, Node, Peer) of
        {{10, 99, 0, 2}, Port} -> {ok, Port};
        Other -> Other
    end.

%% Where Node's connection to Peer goes: net_address{address = {Ip, Port}}.
address_in_use(Config, Node, Peer) ->
    {ok, Nodes} = rpc(Config, Node, net_kernel, nodes_info, []),
    case lists:keyfind(Peer, 1, Nodes) of
        {_, Info} ->
            {address, Address} = lists:keyfind(address, 1, Info),
            element(2, Address);
        false ->
            false
    end.

made_by_docker(Config, Node, Peer) ->
    [Id, Host] = string:lexemes(atom_to_list(Peer), "@"),
    I = list_to_integer(lists:last(string:lexemes(Host, "."))),
    address_in_use(Config, Node, Peer) =:= {{10, 99, 0, I}, published(I, Id, "12345")}.

%% Stock inet_tcp with the epmd module alone, and one fixed port.
epmd_module_alone(Config) ->
    Flags = ["-p", "7000", "-e", "ERL_DIST_PORT=7000"],
    Erl = "-start_epmd false -epmd_module epmd_docker",
    Nodes = [node(start(Host, Flags, Erl), Host) || Host <- [1, 2, 2]],
    [reached(Config, Node) || Node <- Nodes],
    [First | Others] = Nodes,
    [?assertEqual(pong, rpc(Config, Node, net_adm, ping, [First])) || Node <- Others],
    [testbed:eventually(
        fun() -> lists:sort(rpc(Config, Node, erlang, nodes, [])) =:= lists:sort(Nodes -- [Node]) end,
        20_000, Node) || Node <- Nodes],
    [?assertEqual([], epmd_processes(Host)) || Host <- [1, 2]].

%% A node may call itself by all 64 digits.
long_ids(Config) ->
    Self = "$(sed -n 's,.*/containers/\\([0-9a-f]\\{64\\}\\)/.*,\\1,p;T;q' /proc/self/mountinfo)",
    Long = start(1, ["-p", "12345"], ?PLAIN, Self),
    Node = node_of(Long, 1),
    ?assertEqual(64, length(Long)),
    reached(Config, Node),
    Short = node(start(2, ["-p", "12345"]), 2),
    reached(Config, Short),
    ?assertEqual(pong, rpc(Config, Short, net_adm, ping, [Node])),
    ?assertEqual([Short], rpc(Config, Node, erlang, nodes, [])),
    {ok, Found} = resolve(Config, Node),
    ?assertEqual({ok, Found}, resolve(Config, node(Long, 1))).

%% Both daemons have a container of that name, with other ids: each is found at its own.
equal_names_on_two_daemons(_Config) ->
    Flags = fun(I) -> ["--name", "edt_same", "-p", "9100", "-l", "epmd-docker.port=9100",
        "-l", "which=" ++ integer_to_list(I)] end,
    Command = ["erl", "-noinput", "-start_epmd", "false", "-erl_epmd_port", "9100", "-sname", "app@edt_same",
        "-setcookie", "secret"],
    Ids = [{I, testbed:run(I, Flags(I), Command)} || I <- [1, 2]],
    [begin
        Peer = testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-sname", "shell",
            "-setcookie", "secret"], env => [{"DOCKER_HOST", "tcp://" ++ testbed:lab_endpoint(I) ++ ":4243"}]}),
        testbed:eventually(fun() -> peer:call(Peer, net_kernel, connect_node, ['app@edt_same'], 10_000) end, 20_000),
        Expected = list_to_binary(Id),
        Port = published(I, Id, "9100"),
        ?assertMatch({ok, #{address := {10, 99, 0, I}, port := Port, container := #{id := Expected}}},
            peer:call(Peer, epmd_docker, resolve, ['app@edt_same'])),
        Hostname = peer:call(Peer, rpc, call, ['app@edt_same', inet, gethostname, []]),
        ?assertEqual({ok, lists:sublist(Id, 12)}, Hostname),
        testbed:stop(Peer)
    end || {I, Id} <- Ids].

not_published(Config) ->
    Id = testbed:run(2, [], ["sleep", "1000"]),
    ?assertEqual({error, {not_published, 12345}}, resolve(Config, node(Id, 2))).

published_on_loopback(Config) ->
    Id = testbed:run(2, ["-p", "127.0.0.1::12345"], ["sleep", "1000"]),
    ?assertEqual({error, {loopback_only, 12345}}, resolve(Config, node(Id, 2))).

unknown_stopped_and_forbidden(Config) ->
    Control = ?config(control, Config),
    ?assertMatch({error, no_such_container}, resolve(Config, '0123456789ab@10.99.0.1')),
    ?assertNot(peer:call(Control, net_kernel, connect_node, ['0123456789ab@10.99.0.1'], 10_000)),
    Id = testbed:run(1, ["-p", "12345"], ["sleep", "1000"]),
    testbed:docker(1, ["kill", Id]),
    ?assertEqual({error, {not_running, exited}}, resolve(Config, node(Id, 1))),
    %% Host 3 does not exist, and a public host is never asked.
    ?assertMatch({error, {connect, <<"tcp://10.99.0.3:4243">>, _}}, resolve(Config, '0123456789ab@10.99.0.3')),
    ?assertEqual({error, {host_not_allowed, <<"203.0.113.7">>}}, resolve(Config, '0123456789ab@203.0.113.7')).

another_daemon_port(Config) ->
    Erl = ?PLAIN ++ " -kernel docker_daemon_port 4321",
    Ids = [{Host, start(Host, ["-p", "12345"], Erl)} || Host <- [1, 2]],
    Control = control(["-kernel", "docker_daemon_port", "4321"]),
    Nodes = [node(Id, Host) || {Host, Id} <- Ids],
    [testbed:eventually(fun() -> peer:call(Control, net_kernel, connect_node, [Node], 10_000) end, 20_000, Node)
     || Node <- Nodes],
    [A, B] = Nodes,
    ?assertEqual(pong, peer:call(Control, rpc, call, [A, net_adm, ping, [B]])),
    ?assertEqual([A], peer:call(Control, rpc, call, [B, erlang, nodes, []])),
    testbed:stop(Control),
    ?assertMatch({error, {connect, _, _}}, resolve(Config, hd(Nodes)), "the default port is silent").
