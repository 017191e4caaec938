%% net_kernel:connect_node/1 to a node in a container, address and handshake and all, from a VM
%% with this library and from a stock one. The stock one finds the address in its own hosts table,
%% as fast as stock Erlang can, and both ask the epmd in the container for the port.
-module(bench_connect).
-behaviour(bench).

-export([run/1]).
-export([connect/1]).

-define(PER_ROUND, 5).
-define(ROUNDS, 20).

-spec run(bench:context()) -> bench:outcome().
run(#{node_container := Id, node_address := Address, repeat := Repeat} = Context) ->
    Node = list_to_atom("app@" ++ Id),
    Module = ["-pa", bench:library_ebin(), "-epmd_module", "epmd_docker"],
    Library = bench:peer(Module ++ args("bench_connect_ours"), []),
    Stock = stock_peer(Id, Address),
    Series = [
        {library, fun() -> peer:call(Library, ?MODULE, connect, [Node]) end},
        {stock, fun() -> peer:call(Stock, ?MODULE, connect, [Node]) end},
        {port_please, fun() -> port_please(Address) end}
    ],
    _ = bench_stat:in_rounds(2, ?PER_ROUND, Series),
    Repetitions = [
        bench:progress(Context, Number, fun() -> bench_stat:in_rounds(?ROUNDS, ?PER_ROUND, Series) end)
     || Number <- lists:seq(1, Repeat)
    ],
    ok = peer:stop(Library),
    ok = peer:stop(Stock),
    #{repetitions => Repetitions, rows => rows(Repetitions)}.

stock_peer(Id, Address) ->
    File = filename:join(os:getenv("BENCH_TMP"), "inetrc"),
    {ok, Ip} = inet:parse_address(Address),
    ok = file:write_file(File, [
        io_lib:format("~p.~n", [Term]) || Term <- [{host, Ip, [Id]}, {lookup, [file, native]}]
    ]),
    bench:peer(args("bench_connect_stock") ++ ["-kernel", "inetrc", "\"" ++ File ++ "\""], []).

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
    [Library, Stock, PortPlease] = [
        [maps:get(Name, Repetition) || Repetition <- Repetitions]
     || Name <- [library, stock, port_please]
    ],
    [
        bench:row(#{
            what => "`net_kernel:connect_node/1` to a node in a container, port from its epmd",
            ours => Library,
            reference => {"stock `inet_tcp`, address from its hosts table", Stock}
        }),
        bench:row(#{what => "for scale: `erl_epmd:port_please/2` to that container", ours => PortPlease})
    ].
