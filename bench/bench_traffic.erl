%% What goes over a connection once it is made: this library is out of the way then, and this shows
%% it. To one node in a container, from a VM with the library and from a stock one.
-module(bench_traffic).
-behaviour(bench).

-export([run/1]).
-export([send/3]).

-define(MESSAGES, 20_000).
-define(BLOCKS, 40).
-define(BLOCK_BYTES, 1048576).
-define(ROUNDS, 4).
-define(UNITS, #{
    library_messages => per_s, stock_messages => per_s,
    library_bytes => bytes_per_s, stock_bytes => bytes_per_s
}).

-spec run(bench:context()) -> bench:outcome().
run(#{node_container := Id, repeat := Repeat} = Given) ->
    Context = Given#{units => ?UNITS},
    Node = list_to_atom("app@" ++ Id),
    Library = bench_connect:library_peer("bench_traffic_ours", true),
    Stock = bench_connect:stock_peer("bench_traffic_stock", Context),
    ok = bench_connect:knows(Library, Node),
    Series = [
        {Name, fun() -> peer:call(Peer, ?MODULE, send, [Node, Count, Bytes], 60_000) end}
     || {Name, Peer, Count, Bytes} <- [
            {library_messages, Library, ?MESSAGES, 0}, {stock_messages, Stock, ?MESSAGES, 0},
            {library_bytes, Library, ?BLOCKS, ?BLOCK_BYTES}, {stock_bytes, Stock, ?BLOCKS, ?BLOCK_BYTES}
        ]
    ],
    {Messages, Blocks} = lists:split(2, Series),
    Repetition = fun() ->
        %% Apart: after small messages the other node is slower with large ones.
        maps:merge(bench_stat:in_rounds(?ROUNDS, 1, Messages), bench_stat:in_rounds(?ROUNDS, 1, Blocks))
    end,
    _ = Repetition(),
    Repetitions = [
        bench:progress(Context, Number, Repetition)
     || Number <- lists:seq(1, Repeat)
    ],
    [ok = peer:stop(Peer) || Peer <- [Library, Stock]],
    #{repetitions => Repetitions, rows => rows(Repetitions), units => ?UNITS}.

%% Runs in the peer: sends so many messages to a process there and waits until all have come. Gives
%% messages a second for empty ones, else bytes a second.
-spec send(node(), pos_integer(), non_neg_integer()) -> float().
send(Node, Count, Bytes) ->
    true = erlang:set_cookie(Node, bench_cookie),
    true = net_kernel:connect_node(Node),
    Sink = sink(Node),
    Load = binary:copy(<<0>>, Bytes),
    %% The first time, windows and heaps still grow, on both sides: whose turn is first would lose.
    ok = flood(Sink, Load, Count),
    {Ns, ok} = bench_stat:time(fun() -> flood(Sink, Load, Count) end),
    true = exit(Sink, kill),
    Count * max(1, Bytes) / (Ns / 1.0e9).

flood(Sink, Load, Count) ->
    _ = [Sink ! {load, Load} || _ <- lists:seq(1, Count)],
    Sink ! {whole, self()},
    receive {Sink, got} -> ok end.

%% The module itself is sent there.
sink(Node) ->
    {Module, Binary, File} = code:get_object_code(bench_sink),
    {module, Module} = erpc:call(Node, code, load_binary, [Module, File, Binary]),
    erlang:spawn(Node, Module, loop, []).

rows(Repetitions) ->
    Of = fun(Name) -> bench:series(Name, Repetitions) end,
    [
        bench:row(#{
            what => What, unit => Unit, ours => Of(Ours), target => {at_least, 0.99},
            reference => {"stock `inet_tcp`", Of(Stock)}
        })
     || {What, Unit, Ours, Stock} <- [
            {"messages a second after the handshake, empty ones", per_s, library_messages, stock_messages},
            {"bytes a second after the handshake, 1 MiB a message", bytes_per_s, library_bytes, stock_bytes}
        ]
    ].
