%% A look-up of a name that the library knows, since it follows the engine's events: from memory,
%% beside what stock Erlang asks each time. In a VM of its own, for this one asks each time.
-module(bench_known).
-behaviour(bench).

-export([run/1]).
-export([known/1, address_please/2]).

-define(BLOCK, 20).

-spec run(bench:context()) -> bench:outcome().
run(#{container := Id, node_address := Address, repeat := Repeat, samples := Count} = Context) ->
    ok = bench_httpc:start(maps:get(socket, Context)),
    Peer = bench:peer(bench:library_args("bench_known"), [{"EPMD_DOCKER_WATCH", "true"}]),
    ok = peer:call(Peer, ?MODULE, known, ["x@" ++ Id]),
    {ok, Ip} = inet:parse_address(Address),
    Series = [
        {known, fun() -> peer:call(Peer, ?MODULE, address_please, [Id, ?BLOCK]) end},
        %% Here, where no port is fixed: there erl_epmd would ask nobody.
        {port_please, fun() -> port_please(Ip) end},
        {httpc, fun() -> element(1, bench_stat:time(fun() -> bench_httpc:address(Id) end)) end}
    ],
    Rounds = max(1, Count div ?BLOCK),
    Repetitions = [
        bench:progress(Context, Number, fun() -> bench_stat:in_rounds(Rounds, 1, Series) end)
     || Number <- lists:seq(1, Repeat)
    ],
    ok = peer:stop(Peer),
    #{repetitions => Repetitions, rows => rows(Repetitions)}.

%% Waits in the peer until it answers from memory where that node is.
-spec known(string()) -> ok.
known(Node) ->
    {ok, _} = epmd_docker:resolve(Node),
    case epmd_docker_nif:peek(list_to_binary(Node), inet) of
        {found, _, _} -> ok;
        _ -> receive after 20 -> known(Node) end
    end.

%% The median of some; each in a process of its own, as a connection is.
-spec address_please(string(), pos_integer()) -> Ns :: number().
address_please(Id, Count) ->
    %% Our own addresses are read by a look-up, and not by what is answered from memory.
    {ok, _} = epmd_docker:resolve("x@" ++ Id),
    bench_stat:median([bench_lookup:address_please("x", Id) || _ <- lists:seq(1, Count)]).

-spec port_please(inet:ip_address()) -> Ns :: number().
port_please(Ip) ->
    {Ns, {port, _, _}} = bench_stat:time(fun() -> erl_epmd:port_please("app", Ip) end),
    Ns.

rows(Repetitions) ->
    [Known, PortPlease, Httpc] = [
        bench:series(Name, Repetitions) || Name <- [known, port_please, httpc]
    ],
    Row = #{what => "known name, whole `address_please/3`", ours => Known},
    Faster = Row#{what => "the same", faster => true, target => {at_least, 100}},
    [
        bench:row(Row#{target => {at_most, 2000}}),
        bench:row(Faster#{reference => {"`erl_epmd:port_please/2` to a container", PortPlease}}),
        bench:row(Faster#{reference => {"`httpc` with a JSON decoder (`jiffy`)", Httpc}})
    ].
