%% A look-up of a name that the library knows, since it follows the engine's events: from memory,
%% beside what stock Erlang asks each time. In a VM of its own, for this one asks each time.
-module(bench_known).
-behaviour(bench).

-export([run/1]).
-export([known/1, address_please/2]).

-define(BLOCK, 20).

-spec run(bench:context()) -> bench:outcome().
run(#{container := Id, node_address := Address, repeat := Repeat, samples := Count} = Context) ->
    Peer = bench:peer(bench:library_args("bench_known"), [{"EPMD_DOCKER_WATCH", "true"}]),
    ok = peer:call(Peer, ?MODULE, known, [Id]),
    {ok, Ip} = inet:parse_address(Address),
    Series = [
        {known, fun() -> peer:call(Peer, ?MODULE, address_please, [Id, ?BLOCK]) end},
        %% Here, where no port is fixed: there erl_epmd would ask nobody.
        {port_please, fun() -> port_please(Ip) end}
    ],
    Rounds = max(1, Count div ?BLOCK),
    Repetitions = [
        bench:progress(Context, Number, fun() -> bench_stat:in_rounds(Rounds, 1, Series) end)
     || Number <- lists:seq(1, Repeat)
    ],
    ok = peer:stop(Peer),
    #{repetitions => Repetitions, rows => rows(Repetitions)}.

%% Waits in the peer until it answers from memory.
-spec known(string()) -> ok.
known(Id) ->
    {ok, _} = epmd_docker:resolve("x@" ++ Id),
    case epmd_docker_nif:peek(iolist_to_binary(["x@", Id]), inet) of
        {found, _, _} -> ok;
        _ -> receive after 20 -> known(Id) end
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
    [Known, PortPlease] = [
        [maps:get(Name, Repetition) || Repetition <- Repetitions]
     || Name <- [known, port_please]
    ],
    [
        bench:row(#{
            what => "known name, whole `address_please/3`",
            ours => Known, faster => true, target => {at_least, 100},
            reference => {"`erl_epmd:port_please/2` to a container", PortPlease}
        })
    ].
