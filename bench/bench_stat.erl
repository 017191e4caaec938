%% Time and order statistics. Samples are integers in nanoseconds unless a part says otherwise.
-module(bench_stat).

-export([time/1, median/1, quantile/2, medians/1, spread/1, ratios/2, in_rounds/3]).

-export_type([samples/0, spread/0]).

-type samples() :: [number()].
%% Median, smallest and largest of one figure over the repetitions.
-type spread() :: {Median :: number(), Min :: number(), Max :: number()}.

%% How long a call takes, and what it gave.
-spec time(fun(() -> T)) -> {Ns :: non_neg_integer(), T}.
time(Fun) ->
    Start = erlang:monotonic_time(),
    Result = Fun(),
    {erlang:convert_time_unit(erlang:monotonic_time() - Start, native, nanosecond), Result}.

-spec median(samples()) -> number().
median(Samples) -> quantile(0.5, Samples).

%% The nearest rank: always a value that was measured.
-spec quantile(float(), samples()) -> number().
quantile(Q, [_ | _] = Samples) ->
    Rank = max(1, ceil(Q * length(Samples))),
    lists:nth(Rank, lists:sort(Samples)).

-spec medians([samples()]) -> [number()].
medians(Repetitions) -> [median(Samples) || Samples <- Repetitions].

-spec spread([number()]) -> spread().
spread(Values) -> {median(Values), lists:min(Values), lists:max(Values)}.

%% One ratio for each repetition: what shared the machine's good and bad moments is compared.
-spec ratios([number()], [number()]) -> [float()].
ratios(Ours, References) -> lists:zipwith(fun(A, B) -> A / B end, Ours, References).

%% Runs each series in turn, `Rounds' times, a block at a time, and starts with another one each
%% round: other load on the machine and the order then hit all of them alike.
-spec in_rounds(pos_integer(), pos_integer(), [{Name, fun(() -> number())}]) ->
    #{Name => samples()}.
in_rounds(Rounds, Block, Series) ->
    Blocks = [
        {Name, [Sample() || _ <- lists:seq(1, Block)]}
     || Round <- lists:seq(1, Rounds),
        {Name, Sample} <- rotate(Round rem length(Series), Series)
    ],
    maps:map(
        fun(_, Lists) -> lists:append(Lists) end,
        maps:groups_from_list(fun({Name, _}) -> Name end, fun({_, Samples}) -> Samples end, Blocks)
    ).

rotate(N, List) ->
    {Front, Back} = lists:split(N, List),
    Back ++ Front.
