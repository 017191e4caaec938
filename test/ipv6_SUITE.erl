%% IPv6 and dual stack on one engine, by examples/ipv6 as it stands: Name@ContainerRef, node names with
%% an IPv6 literal, and what is said where a container or its published port has the other family only.
-module(ipv6_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-import(ipv6_nodes, [address/2, connect/2, connected/2, meshed/4, resolve/2, rpc/5, with_client/3]).

-define(NETWORK, "edt_ipv6").

suite() -> [{timetrap, {minutes, 2}}].

all() -> [{group, literals}, {group, containers}].

groups() ->
    [
        {literals, [], [names_that_otp_takes, names_that_otp_refuses]},
        {containers, [], [
            our_module_is_in_use,
            mesh_by_container_name,
            stock_protocol,
            shell_of_the_example,
            ordinary_node_with_epmd,
            containers_ask_docker,
            listens_on_one_family_only,
            published_on_each_family,
            container_with_ipv4_only
        ]}
    ].

init_per_group(literals, Config) ->
    Config;
init_per_group(containers, Config) ->
    case testbed:engine() of
        ok ->
            _ = testbed:image(),
            testbed:remove_all(main),
            testbed:docker(main, ["network", "create", "--label", testbed:label(), "--ipv6", "--subnet", "fd00:ed::/64", ?NETWORK]),
            [{control, ipv6_nodes:control(["-proto_dist", "inet6_tcp", "-sname", "control"])} | Config];
        Skip ->
            Skip
    end.

end_per_group(literals, _) ->
    ok;
end_per_group(containers, Config) ->
    testbed:stop(?config(control, Config)),
    testbed:remove_all(main).

end_per_testcase(_, Config) ->
    case ?config(control, Config) of
        undefined -> ok;
        _ -> ipv6_nodes:remove_containers(main)
    end.

%% ---------------------------------------------------------------------------------------------
%% Literals in node names: what OTP itself takes, without Docker
%% ---------------------------------------------------------------------------------------------

literal(Protocol, Flag, Node, Fun) ->
    Port = integer_to_list(testbed:free_port()),
    Flags = ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "secret", "-proto_dist", Protocol],
    Server = testbed:peer(#{args => [Flag, Node | Flags], env => [{"ERL_DIST_PORT", Port}]}),
    [_, Host] = string:split(Node, "@"),
    Client = testbed:peer(#{args => [Flag, "client@" ++ Host | Flags], env => [{"EPMD_DOCKER_REMOTE_PORT", Port}]}),
    ?assertEqual(list_to_atom(Node), peer:call(Server, erlang, node, [])),
    Fun(Client, list_to_atom(Node)),
    [testbed:stop(Peer) || Peer <- [Client, Server]].

%% In any spelling, but the same one on both sides.
names_that_otp_takes(_Config) ->
    [literal(Protocol, Flag, Node, fun(Client, Name) ->
        ?assert(connect(Client, Name), {Protocol, Flag, Node}),
        ?assertMatch({ok, #{address := Ip}} when tuple_size(Ip) =:= 8, resolve(Client, Name))
    end) || {Protocol, Flag, Node} <- [
        {"eid6_tcp", "-name", "a@::1"},
        {"inet6_tcp", "-name", "a@::1"},
        {"inet6_tcp", "-name", "a@0:0:0:0:0:0:0:1"},
        {"inet6_tcp", "-name", "a@::ffff:127.0.0.1"},
        {"inet6_tcp", "-sname", "a@::1"}
    ]].

%% It boots in each case, and cannot be reached.
names_that_otp_refuses(_Config) ->
    [literal(Protocol, "-name", Node, fun(Client, Name) ->
        ?assertNot(connect(Client, Name), {Protocol, Node})
    end) || {Protocol, Node} <- [
        {"inet_tcp", "a@::1"},
        {"inet6_tcp", "a@127.0.0.1"},
        {"inet6_tcp", "a@[::1]"},
        {"inet6_tcp", "a@localhost"}
        | [{"inet6_tcp", "a@" ++ Address} || Address <- link_local()]
    ]].

%% One of this machine's own, with its zone, where it has one.
link_local() ->
    {ok, Interfaces} = inet:getifaddrs(),
    lists:sublist([inet:ntoa(Ip) ++ "%" ++ Name || {Name, Options} <- Interfaces, {addr, {16#fe80, _, _, _, _, _, _, _} = Ip} <- Options], 1).

%% ---------------------------------------------------------------------------------------------
%% Name@ContainerRef
%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) -> ipv6_nodes:is_in_use(?config(control, Config)).

in_container(Env, Name, Flags) ->
    Line = ipv6_nodes:example("ipv6", ["IMAGE=" ++ testbed:image() | Env], ["node", "in-container", Name, "--label", testbed:label() | Flags]),
    list_to_atom(Line).

container_address(Node) ->
    [_, Name] = string:split(atom_to_list(Node), "@"),
    Format = "{{(index .NetworkSettings.Networks \"" ?NETWORK "\").GlobalIPv6Address}}",
    {ipv6_nodes:ip(testbed:docker(main, ["inspect", "-f", Format, Name])), 12345}.

mesh_by_container_name(Config) ->
    Nodes = [in_container([], Name, ["--network", ?NETWORK]) || Name <- ["edt_six1", "edt_six2", "edt_six3"]],
    meshed(Config, Nodes, tcp, fun container_address/1),
    %% In the network the names are in Docker's DNS; on the host only Docker knows them.
    ?assertMatch({ok, #{source := fixed_port}}, rpc(Config, hd(Nodes), epmd_docker, resolve, [lists:last(Nodes)])),
    Control = ?config(control, Config),
    {Ip, 12345} = container_address(hd(Nodes)),
    ?assertMatch({ok, #{source := container, address := Ip, network := <<?NETWORK>>}}, resolve(Control, hd(Nodes))),
    ?assertEqual({Ip, 12345, tcp}, address(peer:call(Control, net_kernel, nodes_info, []), hd(Nodes))).

stock_protocol(Config) ->
    Nodes = [in_container(["PROTO=inet6_tcp"], Name, ["--network", ?NETWORK]) || Name <- ["edt_six4", "edt_six5"]],
    meshed(Config, Nodes, tcp, fun container_address/1).

shell_of_the_example(Config) ->
    Node = in_container([], "edt_six6", ["--network", ?NETWORK]),
    connected(?config(control, Config), Node),
    ipv6_nodes:typed("ipv6", [], Node).

%% Without the library, and its port from the container's epmd.
ordinary_node_with_epmd(Config) ->
    _ = testbed:run(main, ["--name", "edt_six7", "--network", ?NETWORK],
        ["erl", "-noinput", "-proto_dist", "inet6_tcp", "-sname", "app@edt_six7", "-setcookie", "secret"]),
    Control = ?config(control, Config),
    connected(Control, 'app@edt_six7'),
    {Ip, _} = container_address('app@edt_six7'),
    {ok, #{source := container, port := Port}} = resolve(Control, 'app@edt_six7'),
    ?assertEqual({Ip, Port, tcp}, address(peer:call(Control, net_kernel, nodes_info, []), 'app@edt_six7')).

%% By each other's id, which no DNS knows in long form: Docker is the one that answers.
containers_ask_docker(Config) ->
    Socket = ["-v", "/var/run/docker.sock:/var/run/docker.sock", "--network", ?NETWORK],
    [A, B] = Nodes = [in_container([], Name, Socket) || Name <- ["edt_six8", "edt_six9"]],
    meshed(Config, Nodes, tcp, fun container_address/1),
    {Ip, 12345} = container_address(B),
    ?assertMatch({ok, #{source := container, address := Ip}}, rpc(Config, A, epmd_docker, resolve, [B])).

%% A node that listens over IPv6 takes IPv4 too, unless it is told not to; one that listens over IPv4
%% takes nothing else.
listens_on_one_family_only(Config) ->
    Control = ?config(control, Config),
    Both = in_container([], "edt_six10", ["--network", ?NETWORK]),
    Four = in_container(["PROTO=eid_tcp"], "edt_six11", ["--network", ?NETWORK]),
    Only = ["erl", "-noinput", "-start_epmd", "false", "-erl_epmd_port", "12345", "-proto_dist", "inet6_tcp",
        "-kernel", "inet_dist_listen_options", "[{ipv6_v6only,true}]", "-sname", "app@edt_six12", "-setcookie", "secret"],
    _ = testbed:run(main, ["--name", "edt_six12", "--network", ?NETWORK, "-l", "epmd-docker.port=12345"], Only),
    [connected(Control, Node) || Node <- [Both, 'app@edt_six12']],
    with_client(["-sname", "four"], [], fun(Client) ->
        [connected(Client, Node) || Node <- [Both, Four]],
        ?assertMatch({ok, #{address := Ip}} when tuple_size(Ip) =:= 4, resolve(Client, 'app@edt_six12')),
        ?assertNot(connect(Client, 'app@edt_six12'))
    end),
    {Ip6, _} = container_address(Four),
    ?assertMatch({ok, #{address := Ip6}}, resolve(Control, Four)),
    ?assertNot(connect(Control, Four)).

%% A container that is only reached by its published ports: each family has its own binding.
published_on_each_family(_Config) ->
    [P4, P6] = [testbed:free_port() || _ <- [4, 6]],
    Bindings = ["-p", "127.0.0.1:" ++ integer_to_list(P4) ++ ":12345", "-p", "[::]:" ++ integer_to_list(P6) ++ ":12345"],
    Node = in_container([], "edt_six13", Bindings),
    Default = in_container([], "edt_six14", ["-p", "12345"]),
    Four = in_container([], "edt_six15", ["-p", "0.0.0.0::12345"]),
    Six = in_container([], "edt_six16", ["-p", "[::1]::12345"]),
    Published = [{"EPMD_DOCKER_ADDRESS", "published"}],
    with_client(["-proto_dist", "inet6_tcp", "-sname", "six"], Published, fun(Client) ->
        [connected(Client, N) || N <- [Node, Default, Six]],
        ?assertMatch({ok, #{address := {0, 0, 0, 0, 0, 0, 0, 1}, port := P6, source := published}}, resolve(Client, Node)),
        ?assertEqual({error, {not_published, 12345}}, resolve(Client, Four)),
        ?assertNot(connect(Client, Four))
    end),
    with_client(["-sname", "four"], Published, fun(Client) ->
        [connected(Client, N) || N <- [Node, Default, Four]],
        ?assertMatch({ok, #{address := {127, 0, 0, 1}, port := P4, source := published}}, resolve(Client, Node)),
        ?assertEqual({error, {not_published, 12345}}, resolve(Client, Six)),
        ?assertNot(connect(Client, Six))
    end).

%% On the default bridge, which has no IPv6 unless the engine is told so.
container_with_ipv4_only(Config) ->
    Control = ?config(control, Config),
    Node = in_container([], "edt_six17", []),
    with_client(["-sname", "four"], [], fun(Client) -> connected(Client, Node) end),
    ?assertEqual({error, {no_network, [<<"bridge">>]}}, resolve(Control, Node)),
    ?assertNot(connect(Control, Node)).
