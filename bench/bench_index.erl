%% What native/docker_discovery/benches/index.rs says (scripts/bench has run it): a list of 10,000
%% containers, its memory, and look-ups among so many.
-module(bench_index).
-behaviour(bench).

-export([run/1]).

-define(UNITS, #{bytes_listed => bytes, bytes_inspected => bytes}).

-spec run(bench:context()) -> bench:outcome().
run(_Context) ->
    {ok, Text} = file:read_file(filename:join(os:getenv("BENCH_TMP"), "index.csv")),
    Lines = [binary:split(Line, <<",">>, [global]) || Line <- binary:split(Text, <<"\n">>, [global, trim])],
    Samples = maps:groups_from_list(
        fun([Number, Series, _]) -> {binary_to_integer(Number), binary_to_atom(Series)} end,
        fun([_, _, Figure]) -> binary_to_integer(Figure) end,
        Lines
    ),
    Numbers = lists:usort([Number || {Number, _} <- maps:keys(Samples)]),
    Repetitions = [
        maps:from_list([{Series, Figures} || {{N, Series}, Figures} <- maps:to_list(Samples), N =:= Number])
     || Number <- Numbers
    ],
    #{repetitions => Repetitions, rows => rows(Repetitions), units => ?UNITS}.

rows(Repetitions) ->
    Of = fun(Name) -> bench:series(Name, Repetitions) end,
    Flat = #{what => "look-up by name in the index, 10,000 containers", ours => Of(lookup_10000)},
    [
        bench:row(#{
            what => "list of 10,000 containers, from its bytes to the index",
            ours => Of(list), faster => true, target => {at_least, 0.8},
            reference => {"`serde_json` decoding the same bytes into the same types", Of(serde_json)}
        }),
        bench:row(#{
            what => "memory of each after the list", unit => bytes,
            ours => Of(bytes_listed), target => {at_most, 1024}
        }),
        bench:row(#{
            what => "memory of each that was inspected too", unit => bytes,
            ours => Of(bytes_inspected), target => {at_most, 1024}
        }),
        bench:row(Flat#{reference => {"10 containers", Of(lookup_10)}}),
        bench:row(Flat#{what => "the same by id prefix", ours => Of(prefix_10000),
            reference => {"10 containers", Of(prefix_10)}})
    ].
