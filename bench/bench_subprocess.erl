%% A cold lookup, and a known name, beside `docker inspect' as a subprocess: from os:cmd/1, as Erlang code would, and
%% as a plain fork and exec, which is what any program that shells out pays at least.
-module(bench_subprocess).
-behaviour(bench).

-export([run/1]).

-define(PER_ROUND, 20).

-spec run(bench:context()) -> bench:outcome().
run(#{container := Id, repeat := Repeat, samples := Count} = Context) ->
    Docker = os:find_executable("docker"),
    Args = ["inspect", "--format", "{{.NetworkSettings.IPAddress}}", Id],
    Command = lists:flatten(lists:join($\s, ["docker" | ["'" ++ Arg ++ "'" || Arg <- Args]])),
    Peer = bench:peer(bench:library_args("bench_subprocess"), [{"EPMD_DOCKER_WATCH", "true"}]),
    ok = peer:call(Peer, bench_known, known, ["x@" ++ Id]),
    Series = [
        {known, fun() -> peer:call(Peer, bench_known, address_please, [Id, ?PER_ROUND]) end},
        {address_please, fun() -> bench_lookup:address_please("x", Id) end},
        {os_cmd, fun() -> timed(fun() -> os_cmd(Command) end) end},
        {fork, fun() -> timed(fun() -> bench:os_process(Docker, Args, []) end) end}
    ],
    %% A subprocess takes as long as a hundred lookups: fewer of them.
    Rounds = max(2, Count div 100),
    Repetitions = [
        bench:progress(Context, Number, fun() -> repetition(Rounds, Series) end)
     || Number <- lists:seq(1, Repeat)
    ],
    ok = peer:stop(Peer),
    #{repetitions => Repetitions, rows => rows(Repetitions)}.

repetition(Rounds, [Known, Lookup | Subprocesses]) ->
    Blocks = [
        {bench_stat:in_rounds(1, ?PER_ROUND, [Lookup]), bench_stat:in_rounds(1, 1, [Known | Subprocesses])}
     || _ <- lists:seq(1, Rounds)
    ],
    Merge = fun(Map, Into) -> maps:merge_with(fun(_, A, B) -> A ++ B end, Map, Into) end,
    lists:foldl(fun({A, B}, Into) -> Merge(A, Merge(B, Into)) end, #{}, Blocks).

timed(Fun) ->
    {Ns, ok} = bench_stat:time(Fun),
    Ns.

os_cmd(Command) ->
    [_ | _] = os:cmd(Command),
    ok.

rows(Repetitions) ->
    Of = fun(Name) -> bench:series(Name, Repetitions) end,
    Rows = [
        {"cold lookup, whole `address_please/3`", address_please, 60},
        {"known name, whole `address_please/3`", known, 5000}
    ],
    [
        bench:row(#{
            what => What, ours => Of(Ours), faster => true, target => {at_least, Target},
            reference => {Reference, Of(Name)}
        })
     || {What, Ours, Target} <- Rows,
        {Reference, Name} <- [
            {"`docker inspect --format` as a subprocess, by `os:cmd/1`", os_cmd},
            {"the same by fork and exec, without a shell", fork}
        ]
    ].
