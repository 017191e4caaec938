%% net_kernel:connect_node/1 to a node in a container, address and handshake and all, from a VM
%% with this library and from a stock one. The stock one finds the address in its own hosts table,
%% as fast as stock Erlang can, and asks the epmd in the container for the port.
-module(bench_connect).
-behaviour(bench).

-export([run/1]).
-export([connect/1]).
-export([library_peer/2, stock_peer/2, knows/2]).

-define(PER_ROUND, 5).
-define(ROUNDS, 20).

-spec run(bench:context()) -> bench:outcome().
run(#{node_container := Id, node_address := Address, repeat := Repeat} = Context) ->
    [App, Plain] = [list_to_atom(Name ++ "@" ++ Id) || Name <- ["app", "plain"]],
    Cold = library_peer("bench_connect_cold", false),
    Known = library_peer("bench_connect_known", true),
    Stock = stock_peer("bench_connect_stock", Context),
    ok = knows(Known, App),
    Series = [
        {cold, fun() -> peer:call(Cold, ?MODULE, connect, [App]) end},
        {known, fun() -> peer:call(Known, ?MODULE, connect, [App]) end},
        {port_from_epmd, fun() -> peer:call(Known, ?MODULE, connect, [Plain]) end},
        {stock, fun() -> peer:call(Stock, ?MODULE, connect, [App]) end},
        {port_please, fun() -> port_please(Address) end}
    ],
    _ = bench_stat:in_rounds(2, ?PER_ROUND, Series),
    Repetitions = [
        bench:progress(Context, Number, fun() -> bench_stat:in_rounds(?ROUNDS, ?PER_ROUND, Series) end)
     || Number <- lists:seq(1, Repeat)
    ],
    [ok = peer:stop(Peer) || Peer <- [Cold, Known, Stock]],
    #{repetitions => Repetitions, rows => rows(Repetitions)}.

%% A VM with this library that follows the engine's events, or does not.
-spec library_peer(string(), Watch :: boolean()) -> pid().
library_peer(Name, Watch) ->
    Module = ["-pa", bench:library_ebin(), "-epmd_module", "epmd_docker"],
    bench:peer(Module ++ args(Name), [{"EPMD_DOCKER_WATCH", atom_to_list(Watch)}]).

%% Waits until that VM knows the container of a node.
-spec knows(pid(), node()) -> ok.
knows(Peer, Node) ->
    peer:call(Peer, bench_known, known, [atom_to_list(Node)]).

%% A VM without it that knows the address of the container.
-spec stock_peer(string(), bench:context()) -> pid().
stock_peer(Name, #{node_container := Id, node_address := Address}) ->
    File = filename:join(os:getenv("BENCH_TMP"), "inetrc"),
    {ok, Ip} = inet:parse_address(Address),
    ok = file:write_file(File, [
        io_lib:format("~p.~n", [Term]) || Term <- [{host, Ip, [Id]}, {lookup, [file, native]}]
    ]),
    bench:peer(args(Name) ++ ["-kernel", "inetrc", "\"" ++ File ++ "\""], []).

%% Neither has a fixed port: that would be taken for the port of all others too.
args(Name) ->
    ["-start_epmd", "false", "-dist_listen", "false", "-sname", Name].

%% Runs in the peer. The other side has to have noticed the end of the connection before the next:
%% it does so when the socket closes, and answers a connection that comes too early with a wait.
-spec connect(node()) -> Ns :: non_neg_integer().
connect(Node) ->
    true = erlang:set_cookie(Node, bench_cookie),
    ok = net_kernel:monitor_nodes(true, [{node_type, all}]),
    {Ns, true} = bench_stat:time(fun() -> net_kernel:connect_node(Node) end),
    true = erlang:disconnect_node(Node),
    receive
        {nodedown, Node, _} -> ok
    end,
    ok = net_kernel:monitor_nodes(false, [{node_type, all}]),
    receive after 10 -> Ns end.

%% For scale: what stock Erlang asks each time, once it has an address.
port_please(Address) ->
    {ok, Ip} = inet:parse_address(Address),
    {Ns, {port, _, _}} = bench_stat:time(fun() -> erl_epmd:port_please("app", Ip) end),
    Ns.

rows(Repetitions) ->
    Of = fun(Name) -> bench:series(Name, Repetitions) end,
    Stock = {"stock `inet_tcp`, address from its hosts table, port from the container's epmd", Of(stock)},
    Connect = "`net_kernel:connect_node/1` to a container, port from its label",
    [
        bench:row(Row)
     || Row <- [
            #{what => [Connect, ", name known"], ours => Of(known), reference => Stock,
                target => {at_most, 1.0}},
            #{what => [Connect, ", cold"], ours => Of(cold), reference => Stock},
            #{what => "the same to a known container, where its epmd has to be asked for the port",
                ours => Of(port_from_epmd), reference => Stock},
            #{what => "for scale: `erl_epmd:port_please/2` to that container", ours => Of(port_please)}
        ]
    ].
