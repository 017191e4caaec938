%% How long net_kernel takes to answer while a daemon hangs and a hundred connects wait for it,
%% beside a stock VM in which a hundred connects wait for handshakes that never come.
-module(bench_net_kernel).
-behaviour(bench).

-export([run/1]).
-export([slowest/2]).

-define(CONNECTS, 100).
-define(WINDOW_MS, 1000).

-spec run(bench:context()) -> bench:outcome().
run(#{repeat := Repeat} = Context) ->
    {ok, Silent} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, {backlog, 1024}]),
    {ok, Port} = inet:port(Silent),
    Repetitions = [
        bench:progress(Context, Number, fun() -> repetition(integer_to_list(Port)) end)
     || Number <- lists:seq(1, Repeat)
    ],
    ok = gen_tcp:close(Silent),
    #{repetitions => Repetitions, rows => rows(Repetitions)}.

%% New VMs each time: connects that are under way last for seconds.
repetition(Port) ->
    Hung = [{"DOCKER_HOST", "tcp://127.0.0.1:" ++ Port}, {"EPMD_DOCKER_WATCH", "true"}],
    Library = bench:peer(bench:library_args("bench_nk_ours"), Hung ++ bench:no_epmd()),
    %% The port of all other nodes is the one where nobody shakes hands.
    Stock = bench:peer(
        ["-start_epmd", "false", "-dist_listen", "false", "-erl_epmd_port", Port,
            "-sname", "bench_nk_stock"], []),
    {_, Idle} = peer:call(Library, ?MODULE, slowest, ["c", 0]),
    {TakenOn, Hanging} = peer:call(Library, ?MODULE, slowest, ["c", ?CONNECTS]),
    {StockTakenOn, Stocks} = peer:call(Stock, ?MODULE, slowest, ["localhost", ?CONNECTS]),
    [ok = peer:stop(Peer) || Peer <- [Library, Stock]],
    #{taken_on => [TakenOn], hanging => [Hanging], stock_taken_on => [StockTakenOn],
        stock => [Stocks], idle => [Idle]}.

%% Runs in the peer: starts the connects, waits until net_kernel has taken on all of them, and then
%% asks it something again and again. How long the first took and how long the slowest answer, in
%% ns. Nobody may have given up before the end.
-spec slowest(string(), non_neg_integer()) -> {non_neg_integer(), non_neg_integer()}.
slowest(Host, Connects) ->
    Asking = [
        spawn_monitor(fun() -> net_kernel:connect_node(node_at(Number, Host)) end)
     || Number <- lists:seq(1, Connects)
    ],
    {TakenOn, ok} = bench_stat:time(fun() -> taken_on(Connects) end),
    Slowest = ask(erlang:monotonic_time(millisecond) + ?WINDOW_MS, 0),
    [] = [Pid || {Pid, _} <- Asking, not is_process_alive(Pid)],
    _ = [exit(Pid, kill) || {Pid, _} <- Asking],
    {TakenOn, Slowest}.

%% Its own table has the connections that are being set up.
taken_on(Connects) ->
    case ets:info(sys_dist, size) >= Connects of
        true -> _ = net_kernel:longnames(), ok;
        false -> receive after 1 -> taken_on(Connects) end
    end.

node_at(Number, Host) ->
    Text = integer_to_list(Number),
    case Host of
        "localhost" -> list_to_atom("n" ++ Text ++ "@localhost");
        _ -> list_to_atom("n@" ++ Host ++ Text)
    end.

ask(End, Slowest) ->
    {Ns, _} = bench_stat:time(fun() -> net_kernel:longnames() end),
    case erlang:monotonic_time(millisecond) < End of
        true -> receive after 1 -> ask(End, max(Ns, Slowest)) end;
        false -> max(Ns, Slowest)
    end.

rows(Repetitions) ->
    Of = fun(Name) -> bench:series(Name, Repetitions) end,
    Row = #{
        what => "net_kernel's slowest answer in a second in which the daemon hangs and 100 connects are in flight",
        ours => Of(hanging), difference => true
    },
    [
        bench:row(Row#{target => {at_most, 1.0e6},
            reference => {"stock `inet_tcp`, 100 connects in flight to what does not answer", Of(stock)}}),
        bench:row(Row#{what => "the same", target => {at_most, 1.0e6},
            reference => {"the same VM before, with nothing in flight", Of(idle)}}),
        bench:row(#{what => "until net_kernel has taken on those 100 connects", ours => Of(taken_on),
            reference => {"stock `inet_tcp`", Of(stock_taken_on)}})
    ].
