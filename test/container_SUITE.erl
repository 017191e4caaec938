%% From the host into a container: Name@ContainerRef, on the machine's own engine.
%%
%% The nodes in the containers are ordinary ones, without our library; the node on the host has it.
-module(container_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 2}}].

all() ->
    [
        our_module_is_in_use,
        remote_shell,
        connect_rpc_and_node_lists,
        with_each_protocol_and_without_listening,
        port_from_label,
        port_of_each_of_two_nodes_in_a_container,
        port_from_environment,
        port_of_our_own,
        by_container_name,
        by_hostname,
        by_compose_service,
        by_long_id,
        table_entry_for_a_container,
        a_wrong_name_is_told,
        two_containers_of_one_name,
        container_in_two_networks,
        host_network,
        our_own_host_name,
        another_containers_network,
        published_port_only,
        stopped_paused_and_unknown,
        restarted_container,
        short_against_long_names
    ].

init_per_suite(Config) ->
    case testbed:engine() of
        ok ->
            testbed:remove_all(main),
            Image = testbed:image(),
            Shell = shell([]),
            [{image, Image}, {shell, unlinked(Shell)} | Config];
        Skip ->
            Skip
    end.

end_per_suite(Config) ->
    testbed:stop(?config(shell, Config)),
    testbed:remove_all(main).

end_per_testcase(_, _) ->
    testbed:remove_all(main).

%% The suite's own node outlives the process of init_per_suite.
unlinked(Peer) ->
    true = unlink(Peer),
    Peer.

shell(Flags) -> shell(Flags, []).

shell(Flags, Env) ->
    testbed:peer(#{
        args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-sname", unique("shell"),
            "-setcookie", "secret" | Flags],
        env => Env
    }).

%% The machine may have an epmd, which knows a name for a while after its node has gone.
unique(Name) -> Name ++ integer_to_list(erlang:unique_integer([positive])).

%% A container with an ordinary node; its short id, when the node is up.
node_in_container(Flags, ErlFlags) ->
    Id = testbed:run(main, Flags, ["erl", "-noinput", "-setcookie", "secret" | ErlFlags]),
    short(Id).

short(Id) -> lists:sublist(Id, 12).

node(Name, Host) -> list_to_atom(Name ++ "@" ++ Host).

call(Config, Function, Args) ->
    peer:call(?config(shell, Config), epmd_docker, Function, Args, 10_000).

%% Connects when the node is up; a container's start takes a while.
connected(Peer, Node) ->
    testbed:eventually(
        fun() -> peer:call(Peer, net_kernel, connect_node, [Node], 10_000) end, 20_000,
        {connect, Node, peer:call(Peer, epmd_docker, resolve, [Node], 10_000)}
    ).

connected_by(Config, Node) -> connected(?config(shell, Config), Node).

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    ?assertEqual(epmd_docker, peer:call(?config(shell, Config), net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, call(Config, info, [])).

%% As a user types it, on a terminal.
remote_shell(_Config) ->
    Id = node_in_container([], ["-sname", "app"]),
    Probe = shell(["-hidden"]),
    connected(Probe, node("app", Id)),
    testbed:stop(Probe),
    Common = "erl " ++ lists:join(" ", testbed:app_path()) ++
        " -start_epmd false -epmd_module epmd_docker -setcookie secret -remsh app@" ++ Id,
    [
        %% The echo of what is typed has blanks that the answer has not.
        terminal:session(lists:flatten([Common, Flags]), [{expect, "(app@" ++ Id ++ ")1>"},
            {type, "{answer, node()}.\r"}, {expect, "{answer,app@" ++ Id ++ "}"}])
     || Flags <- [" -sname " ++ unique("remsh"), " -proto_dist epmd_docker -sname " ++ unique("remsh"),
            " -dist_listen false"]
    ].

connect_rpc_and_node_lists(Config) ->
    Shell = ?config(shell, Config),
    Id = node_in_container([], ["-sname", "app"]),
    Node = node("app", Id),
    connected(Shell, Node),
    ?assertEqual(Node, peer:call(Shell, rpc, call, [Node, erlang, node, []])),
    ?assertEqual(Node, peer:call(Shell, erpc, call, [Node, erlang, node, []])),
    ?assert(lists:member(Node, peer:call(Shell, erlang, nodes, []))),
    %% What observer's node menu is made of (observer_wx:get_nodes/0, OTP 25 to 29).
    ?assertMatch({ok, _}, peer:call(Shell, net_adm, names, [])),
    ?assert(lists:member(Node, peer:call(Shell, erlang, nodes, [connected]))),
    {ok, #{address := Address, port := Port, source := container, network := <<"bridge">>,
        container := #{id := Long, daemon := <<"unix:///var/run/docker.sock">>}}} =
        call(Config, resolve, [Node]),
    ?assertEqual(Id, binary_to_list(binary:part(Long, 0, 12))),
    ?assertEqual(testbed:docker(main, ["inspect", "-f", "{{.NetworkSettings.IPAddress}}", Id]),
        inet:ntoa(Address)),
    %% The same as the container's epmd says.
    ?assertEqual({port, Port}, erlang:delete_element(3, erl_epmd:port_please("app", Address, 5000))).

with_each_protocol_and_without_listening(_Config) ->
    Id = node_in_container([], ["-sname", "app"]),
    [
        begin
            Peer = testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker",
                "-setcookie", "secret" | Flags]}),
            connected(Peer, node("app", Id)),
            testbed:stop(Peer)
        end
     || Flags <- [
            ["-sname", unique("p"), "-proto_dist", "epmd_docker"],
            ["-sname", unique("p"), "-proto_dist", "eid_tcp"],
            ["-sname", "undefined", "-dist_listen", "false"]
        ]
    ].

%% No epmd in the container from here on.
port_from_label(Config) ->
    Id = node_in_container(["-l", "epmd-docker.port=9101"], no_epmd("app", 9101)),
    found(Config, node("app", Id), 9101).

no_epmd(Name, Port) ->
    ["-start_epmd", "false", "-erl_epmd_port", integer_to_list(Port), "-sname", Name].

found(Config, Node, Port) ->
    connected_by(Config, Node),
    ?assertMatch({ok, #{port := Port}}, call(Config, resolve, [Node])).

port_of_each_of_two_nodes_in_a_container(Config) ->
    Id = node_in_container(
        ["-l", "epmd-docker.port.one=9111", "-l", "epmd-docker.port.two=9112"], no_epmd("one", 9111)),
    testbed:docker(main, ["exec", "-d", Id, "erl", "-noinput", "-setcookie", "secret" | no_epmd("two", 9112)]),
    found(Config, node("one", Id), 9111),
    found(Config, node("two", Id), 9112).

port_from_environment(Config) ->
    Id = node_in_container(["-e", "ERL_DIST_PORT=9121"], no_epmd("app", 9121)),
    found(Config, node("app", Id), 9121).

port_of_our_own(_Config) ->
    Id = node_in_container([], no_epmd("app", 9131)),
    Own = shell([], [{"ERL_DIST_PORT", "9131"}]),
    connected(Own, node("app", Id)),
    testbed:stop(Own),
    Remote = shell([], [{"EPMD_DOCKER_REMOTE_PORT", "9131"}]),
    connected(Remote, node("app", Id)),
    testbed:stop(Remote).

by_container_name(Config) ->
    _ = node_in_container(["--name", "edt_named"], ["-sname", "app@edt_named"]),
    connected_by(Config, 'app@edt_named').

by_hostname(Config) ->
    _ = node_in_container(["--hostname", "edt-host"], ["-sname", "app"]),
    connected_by(Config, 'app@edt-host').

by_compose_service(Config) ->
    testbed:docker(main, ["network", "create", "--label", testbed:label(), "edt_compose"]),
    _ = node_in_container(
        ["-l", "com.docker.compose.service=edtsvc", "-l", "com.docker.compose.project=edt",
            "--network", "edt_compose", "--network-alias", "edtalias"],
        ["-sname", "app@edtsvc"]),
    connected_by(Config, 'app@edtsvc'),
    %% The alias leads to the same container (whose node has another name).
    {ok, #{address := Address}} = call(Config, resolve, ['app@edtsvc']),
    ?assertMatch({ok, #{address := Address}}, call(Config, resolve, ['app@edtalias'])).

by_long_id(Config) ->
    Id = node_in_container([], ["-sname", "app"]),
    connected_by(Config, node("app", Id)),
    Long = testbed:docker(main, ["inspect", "-f", "{{.Id}}", Id]),
    {ok, Found} = call(Config, resolve, [node("app", Id)]),
    ?assertEqual({ok, Found}, call(Config, resolve, [node("app", Long)])).

%% A container reference as the host of a table entry: address from Docker, port from the table.
table_entry_for_a_container(_Config) ->
    _ = node_in_container(["--name", "edt_tabled"], no_epmd("app@elsewhere", 9161)),
    Peer = shell([]),
    ok = peer:call(Peer, epmd_docker, add_node, ['app@elsewhere', "edt_tabled", 9161]),
    connected(Peer, 'app@elsewhere'),
    ?assertMatch({ok, #{source := table, port := 9161, container := #{name := <<"edt_tabled">>}}},
        peer:call(Peer, epmd_docker, resolve, ['app@elsewhere'])),
    testbed:stop(Peer).

%% OTP refuses a node that calls itself otherwise; the log says what to type instead.
a_wrong_name_is_told(Config) ->
    Log = filename:join(?config(priv_dir, Config), "wrong_name.log"),
    Peer = shell(["-kernel", "logger", testbed:log_of(Log)]),
    Id = node_in_container(["--name", "edt_wrong"], ["-sname", "app"]),
    connected(Peer, node("app", Id)),
    ?assertNot(peer:call(Peer, net_kernel, connect_node, ['app@edt_wrong'], 10_000)),
    testbed:eventually(fun() ->
        {ok, Text} = file:read_file(Log),
        string:find(Text, ["'app@edt_wrong' calls itself 'app@", Id, "'"]) =/= nomatch
    end, 5000),
    testbed:stop(Peer).

two_containers_of_one_name(Config) ->
    First = node_in_container(["--hostname", "edt-twin"], ["-sname", "app"]),
    Second = node_in_container(["--hostname", "edt-twin"], ["-sname", "app"]),
    testbed:eventually(fun() -> is_running(First) andalso is_running(Second) end, 5000),
    {error, {ambiguous, Ids}} = call(Config, resolve, ['app@edt-twin']),
    ?assertEqual(lists:sort([First, Second]), lists:sort([binary_to_list(binary:part(Id, 0, 12)) || Id <- Ids])),
    %% A stopped one does not count.
    testbed:docker(main, ["kill", First]),
    connected_by(Config, 'app@edt-twin').

is_running(Id) ->
    testbed:docker(main, ["inspect", "-f", "{{.State.Running}}", Id]) =:= "true".

container_in_two_networks(Config) ->
    [testbed:docker(main, ["network", "create", "--label", testbed:label(), Name]) || Name <- ["edt_a", "edt_b"]],
    Id = node_in_container(["--network", "edt_b"], ["-sname", "app"]),
    testbed:docker(main, ["network", "connect", "edt_a", Id]),
    Node = node("app", Id),
    Address = fun(Network) ->
        testbed:docker(main, ["inspect", "-f",
            "{{(index .NetworkSettings.Networks \"" ++ Network ++ "\").IPAddress}}", Id])
    end,
    connected_by(Config, Node),
    %% Unset: we are on both, and the choice is always the same (the first by name).
    [begin
        {ok, #{address := Ip, network := <<"edt_a">>}} = call(Config, resolve, [Node]),
        ?assertEqual(Address("edt_a"), inet:ntoa(Ip))
     end || _ <- lists:seq(1, 5)],
    B = shell([], [{"EPMD_DOCKER_NETWORK", "edt_b"}]),
    connected(B, Node),
    {ok, #{address := IpB, network := <<"edt_b">>}} = peer:call(B, epmd_docker, resolve, [Node]),
    ?assertEqual(Address("edt_b"), inet:ntoa(IpB)),
    testbed:stop(B),
    Other = shell([], [{"EPMD_DOCKER_NETWORK", "edt_other"}]),
    ?assertEqual({error, {no_network, [<<"edt_a">>, <<"edt_b">>]}}, peer:call(Other, epmd_docker, resolve, [Node])),
    testbed:stop(Other).

host_network(Config) ->
    _ = node_in_container(["--network", "host", "--name", "edt_hostnet"],
        ["-start_epmd", "false", "-erl_epmd_port", "9141", "-sname", "app@edt_hostnet"]),
    Remote = shell([], [{"EPMD_DOCKER_REMOTE_PORT", "9141"}]),
    connected(Remote, 'app@edt_hostnet'),
    ?assertMatch({ok, #{address := {127, 0, 0, 1}, port := 9141, source := host_network}},
        peer:call(Remote, epmd_docker, resolve, ['app@edt_hostnet'])),
    testbed:stop(Remote),
    ?assertMatch({error, _}, call(Config, resolve, ['app@edt_nosuch'])).

%% A container with its host's network has the host's name: that it has ended says nothing about a
%% node beside us, which the fixed port finds.
our_own_host_name(_Config) ->
    Id = testbed:run(main, ["--network", "host"], ["sh", "-c", "exit 0"]),
    testbed:eventually(fun() -> not is_running(Id) end, 10_000),
    {ok, Socket} = gen_tcp:listen(0, []),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    Env = [{"ERL_DIST_PORT", integer_to_list(Port)}],
    Beside = shell([], Env),
    Node = peer:call(Beside, erlang, node, []),
    Helper = shell(["-dist_listen", "false"], Env),
    connected(Helper, Node),
    ?assertMatch({ok, #{port := Port, source := fixed_port}}, peer:call(Helper, epmd_docker, resolve, [Node])),
    [testbed:stop(Peer) || Peer <- [Helper, Beside]].

%% docker run --network container:OTHER, a side-car: the address is the other one's.
another_containers_network(Config) ->
    Owner = testbed:run(main, ["--name", "edt_owner"], ["sleep", "1000"]),
    _ = node_in_container(["--network", "container:edt_owner", "--name", "edt_sidecar"], ["-sname", "app@edt_sidecar"]),
    connected_by(Config, 'app@edt_sidecar'),
    {ok, #{address := Ip}} = call(Config, resolve, ['app@edt_sidecar']),
    ?assertEqual(testbed:docker(main, ["inspect", "-f", "{{.NetworkSettings.IPAddress}}", Owner]), inet:ntoa(Ip)).

%% The setting address = published: through the host's port, not the container's address.
published_port_only(Config) ->
    Id = node_in_container(["-p", "9151", "-l", "epmd-docker.port=9151"], no_epmd("app", 9151)),
    Node = node("app", Id),
    connected_by(Config, Node),
    Published = shell([], [{"EPMD_DOCKER_ADDRESS", "published"}]),
    connected(Published, Node),
    {ok, #{port := Port, source := published, address := {127, 0, 0, 1}}} = peer:call(Published, epmd_docker, resolve, [Node]),
    ?assertEqual(host_port(Id, "9151/tcp"), integer_to_list(Port)),
    Bare = node_in_container([], no_epmd("bare", 9152)),
    ?assertEqual({error, {not_published, 9101}},
        resolve_published(Published, node("bare", Bare), "9101")),
    testbed:stop(Published),
    Loopback = node_in_container(["-p", "127.0.0.1::9153", "-l", "epmd-docker.port=9153"], no_epmd("app", 9153)),
    Local = shell([], [{"EPMD_DOCKER_ADDRESS", "published"}]),
    connected(Local, node("app", Loopback)),
    testbed:stop(Local).

%% With a port that is known, so that no epmd is needed to find out that it is not published.
resolve_published(_Peer, Node, Port) ->
    Peer = shell([], [{"EPMD_DOCKER_ADDRESS", "published"}, {"EPMD_DOCKER_REMOTE_PORT", Port}]),
    Result = peer:call(Peer, epmd_docker, resolve, [Node], 10_000),
    testbed:stop(Peer),
    Result.

host_port(Id, Port) ->
    [Line | _] = string:lexemes(testbed:docker(main, ["port", Id, Port]), "\n"),
    lists:last(string:lexemes(Line, ":")).

stopped_paused_and_unknown(Config) ->
    Id = node_in_container([], ["-sname", "app"]),
    Node = node("app", Id),
    connected_by(Config, Node),
    testbed:docker(main, ["pause", Id]),
    ?assertEqual({error, {not_running, paused}}, call(Config, resolve, [Node])),
    testbed:docker(main, ["unpause", Id]),
    ?assertMatch({ok, _}, call(Config, resolve, [Node])),
    testbed:docker(main, ["kill", Id]),
    {Ms, {error, {not_running, exited}}} = testbed:elapsed(fun() -> call(Config, resolve, [Node]) end),
    ?assert(Ms < 2500, Ms),
    ?assertNot(peer:call(?config(shell, Config), net_kernel, connect_node, [Node], 10_000)),
    testbed:docker(main, ["rm", "-f", Id]),
    ?assertEqual({error, no_such_container}, call(Config, resolve, [Node])),
    ?assertNot(peer:call(?config(shell, Config), net_kernel, connect_node, [Node], 10_000)),
    Created = testbed:docker(main, ["create", "--label", testbed:label(), ?config(image, Config), "erl"]),
    ?assertEqual({error, {not_running, created}}, call(Config, resolve, [node("app", short(Created))])).

%% A container that comes back has another node in it, maybe at another address: nobody is told.
restarted_container(Config) ->
    Shell = ?config(shell, Config),
    Id = node_in_container([], ["-sname", "app"]),
    Node = node("app", Id),
    connected(Shell, Node),
    %% Not told by the creation: an epmd that is restarted within a second gives the same again.
    Marked = fun() -> peer:call(Shell, rpc, call, [Node, application, get_env, [kernel, marked]]) end,
    ok = peer:call(Shell, rpc, call, [Node, application, set_env, [kernel, marked, true]]),
    ?assertEqual({ok, true}, Marked()),
    testbed:docker(main, ["restart", "-t", "0", Id]),
    testbed:eventually(fun() -> connected(Shell, Node) =:= ok andalso Marked() =:= undefined end, 20_000).

%% OTP says no in its own words; ours say which flag is missing.
short_against_long_names(Config) ->
    Log = filename:join(?config(priv_dir, Config), "domain.log"),
    Id = node_in_container([], ["-sname", "app"]),
    Peer = testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "secret",
        "-name", unique("shell") ++ "@127.0.0.1", "-kernel", "logger", testbed:log_of(Log)]}),
    ?assertNot(peer:call(Peer, net_kernel, connect_node, [node("app", Id)], 10_000)),
    ?assert(peer:call(Peer, erlang, is_alive, [])),
    testbed:eventually(fun() ->
        {ok, Text} = file:read_file(Log),
        string:find(Text, ["'app@", Id, "' can only be reached by a node that was started with -sname"]) =/= nomatch
    end, 5000),
    testbed:stop(Peer).
