%% Nodes of examples/ipv6, for its two suites: the scripts of the example, and what tells that every
%% connection is over IPv6.
-module(ipv6_nodes).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-export([
    example/3,
    typed/3,
    control/1, control/2,
    with_client/3,
    is_in_use/1,
    resolve/2,
    connect/2,
    connected/2,
    rpc/5,
    address/2,
    meshed/4,
    ip/1,
    remove_containers/1
]).

%% Runs a script of an example; the last line that it prints. (docker may warn before.)
example(Dir, Env, [Script | Args]) ->
    Path = filename:join([testbed:root(), "examples", Dir, Script]),
    case testbed:sh(["env", "EPMD_DOCKER_APP=" ++ code:lib_dir(epmd_docker) | Env] ++ [Path | Args]) of
        {ok, Output} -> lists:last(string:split(Output, "\n", all));
        {error, Why} -> ct:fail({Script, Args, Why})
    end.

control(Flags) -> control(Flags, []).

%% A hidden node on this machine, which outlives the process that starts it.
control(Flags, Env) ->
    Peer = testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-hidden", "-setcookie", "secret" | Flags],
        env => Env}),
    true = unlink(Peer),
    Peer.

%% A node that listens nowhere, for the other family or other settings.
with_client(Flags, Env, Fun) ->
    Peer = control(["-dist_listen", "false" | Flags], Env),
    try Fun(Peer)
    after testbed:stop(Peer)
    end.

resolve(Peer, Node) -> peer:call(Peer, epmd_docker, resolve, [Node], 10_000).

connect(Peer, Node) -> peer:call(Peer, net_kernel, connect_node, [Node], 10_000).

connected(Peer, Node) ->
    testbed:eventually(fun() -> connect(Peer, Node) end, 20_000, {Node, resolve(Peer, Node)}).

rpc(Config, Node, M, F, A) ->
    peer:call(?config(control, Config), rpc, call, [Node, M, F, A, 10_000], 15_000).

%% {Ip, Port, Protocol} of a connection: net_address{address = {Ip, Port}, protocol = Protocol}.
address({ok, Nodes}, Peer) ->
    {_, Info} = lists:keyfind(Peer, 1, Nodes),
    {address, Address} = lists:keyfind(address, 1, Info),
    {Ip, Port} = element(2, Address),
    %% inet6_tls_dist says inet here (OTP 25).
    ?assert(element(4, Address) =:= tls orelse element(5, Address) =:= inet6),
    {Ip, Port, element(4, Address)}.

%% Every connection is over IPv6, and of each pair one side has made it to the address of the other.
meshed(Config, [First | Others] = Nodes, Protocol, AddressOf) ->
    [connected(?config(control, Config), Node) || Node <- Nodes],
    [?assertEqual(epmd_docker, rpc(Config, Node, net_kernel, epmd_module, [])) || Node <- Nodes],
    [?assertEqual(pong, rpc(Config, Node, net_adm, ping, [First])) || Node <- Others],
    [testbed:eventually(
        fun() -> lists:sort(rpc(Config, Node, erlang, nodes, [])) =:= lists:sort(Nodes -- [Node]) end,
        20_000, Node) || Node <- Nodes],
    Seen = fun(Node, Peer) -> address(rpc(Config, Node, net_kernel, nodes_info, []), Peer) end,
    [begin
        {Ip, _, Protocol} = Seen(A, B),
        ?assertEqual(8, tuple_size(Ip)),
        ?assertNotMatch({0, 0, 0, 0, 0, 16#ffff, _, _}, Ip),
        {IpOfA, PortOfA} = AddressOf(A),
        {IpOfB, PortOfB} = AddressOf(B),
        ?assert(Seen(A, B) =:= {IpOfB, PortOfB, Protocol} orelse Seen(B, A) =:= {IpOfA, PortOfA, Protocol}, {A, B})
     end || A <- Nodes, B <- Nodes, A < B],
    ok.

ip(Text) ->
    {ok, Ip} = inet:parse_strict_address(Text),
    Ip.

%% As a user types it.
typed(Dir, Env, Node) ->
    Library = code:lib_dir(epmd_docker),
    Script = filename:join([testbed:root(), "examples", Dir, "shell"]),
    Words = ["env", "ERL_LIBS=" ++ filename:dirname(Library), "EPMD_DOCKER_APP=" ++ Library | Env] ++ [Script, atom_to_list(Node)],
    Command = lists:join(" ", [["'", Word, "'"] || Word <- Words]),
    terminal:session(lists:flatten(Command), [
        {expect, "(" ++ atom_to_list(Node) ++ ")1>"}, {type, "{answer, 40 + 2}.\r"}, {expect, "{answer,42}"}
    ]).

%% First of all.
is_in_use(Control) ->
    ?assertEqual(epmd_docker, peer:call(Control, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(Control, epmd_docker, info, [])).

%% The network of the tests stays.
remove_containers(Where) ->
    case testbed:docker(Where, ["ps", "-aq", "--filter", "label=" ++ testbed:label()]) of
        "" -> "";
        Ids -> testbed:docker(Where, ["rm", "-f", "-v" | string:lexemes(Ids, "\n")])
    end.
