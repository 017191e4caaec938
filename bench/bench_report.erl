%% Writes what was found: a Markdown table for people and a CSV with the figures of each
%% repetition under docs/bench, and every single sample into the build folder.
-module(bench_report).

-export([write/2, figure/2, load/0]).

-define(QUANTILES, [0.0, 0.1, 0.5, 0.9, 0.99, 1.0]).

-spec write([{Part :: atom(), bench:outcome()}], map()) -> ok.
write(Outcomes, #{complete := Complete} = Context) ->
    Table = [
        "| what | ours | reference | ratio (smallest to largest) | target | met |\n",
        "|---|---|---|---|---|---|\n",
        [line(Row) || {_, #{rows := Rows}} <- Outcomes, Row <- Rows]
    ],
    ok = file:write_file(place("BENCH_TMP", "samples.csv"), [samples(Outcome) || Outcome <- Outcomes]),
    io:format("~n~ts~n~ts~n", [machine(Context), Table]),
    case Complete of
        true ->
            ok = put_file("results.md", [text(Context), Table, "\n", [plot(Part) || {Part, _} <- Outcomes]]),
            ok = put_file("results.csv", [
                "part,series,repetition,unit,samples,min,p10,p50,p90,p99,max\n",
                [quantiles(Outcome) || Outcome <- Outcomes]
            ]);
        false ->
            io:format("not written: docs/bench is for whole runs~n")
    end,
    %% Where bench/plot.py is to put its pictures.
    Plots = case Complete of true -> os:getenv("BENCH_DOCS"); false -> os:getenv("BENCH_TMP") end,
    file:write_file(place("BENCH_TMP", "plots"), Plots).

put_file(Name, Text) ->
    File = place("BENCH_DOCS", Name),
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, unicode:characters_to_binary(Text)),
    io:format("written: ~ts~n", [File]).

place(Variable, Name) ->
    filename:join(os:getenv(Variable), Name).

%% ---------------------------------------------------------------------------------------------
%% The table
%% ---------------------------------------------------------------------------------------------

text(Context) ->
    [
        "# Measured\n\n",
        machine(Context), "\n",
        busy(Context),
        "Made by `make bench`. The series of a line ran in turns, a block of each at a time, so that "
        "other load hit all of them alike. A figure is the median of the repetitions, and each of "
        "those is a median too unless the line says otherwise; a ratio is made within each repetition. "
        "`results.csv` has the repetitions one by one, and a plot of each part (box: quartiles; "
        "whiskers: 1st and 99th percentile of the single samples) follows the table.\n\n"
    ].

%% By bench/plot.py.
plot(Part) ->
    io_lib:format("![~ts](~ts.svg)~n", [Part, Part]).

%% A table that other work has spoilt says so itself.
busy(#{load := {Before, After}}) ->
    Load = max(list_to_float(Before), list_to_float(After)),
    case Load > erlang:system_info(logical_processors) of
        true ->
            "**The machine was busy with other work: take these figures as a trial of the benchmark, "
            "not as results.** `make bench` on a quiet machine replaces them.\n\n";
        false ->
            ""
    end.

machine(#{load := {Before, After}, repeat := Repeat, samples := Samples}) ->
    Cpu = string:trim(os:cmd("lscpu | sed -n 's/^Model name: *//p'")),
    io_lib:format(
        "~ts, ~b cores; Linux ~ts; Erlang/OTP ~ts (ERTS ~ts); Docker ~ts; ~ts. "
        "~b repetitions of ~b lookups. Load average ~ts before, ~ts after.~n",
        [
            Cpu, erlang:system_info(logical_processors),
            string:trim(os:cmd("uname -r")),
            erlang:system_info(otp_release), erlang:system_info(version),
            string:trim(os:cmd("docker version --format '{{.Server.Version}}'")),
            string:trim(os:cmd("date -u +'%F %H:%M UTC'")),
            Repeat, Samples, Before, After
        ]
    ).

%% How busy the machine was over the last minute.
-spec load() -> string().
load() ->
    {ok, Text} = file:read_file("/proc/loadavg"),
    binary_to_list(hd(binary:split(Text, <<" ">>))).

line(#{what := What, ours := Ours, unit := Unit} = Row) ->
    Cells = [
        What,
        [figure(bench_stat:median(Ours), Unit), p99(p99, Row)],
        case Row of
            #{reference := {Name, Figures}} ->
                [Name, ": ", figure(bench_stat:median(Figures), Unit), p99(reference_p99, Row)];
            _ ->
                ""
        end,
        ratio(Row),
        target(Row),
        met(Row)
    ],
    ["| ", lists:join(" | ", Cells), " |\n"].

p99(Key, #{unit := Unit} = Row) ->
    case Row of
        #{Key := Figure} -> [" (p99 ", figure(Figure, Unit), ")"];
        _ -> ""
    end.

ratio(#{ratio := {Median, Min, Max}} = Row) ->
    Text = case Row of #{faster := true} -> "~ts times faster (~ts to ~ts)"; _ -> "~ts (~ts to ~ts)" end,
    io_lib:format(Text, [number(Median), number(Min), number(Max)]);
ratio(#{difference := {Median, Min, Max}, unit := Unit}) ->
    io_lib:format("~ts more (~ts to ~ts)", [figure(Figure, Unit) || Figure <- [Median, Min, Max]]);
ratio(_) ->
    "".

target(#{target := {Bound, Limit}, ratio := _}) -> [words(Bound), number(Limit)];
target(#{target := {Bound, Limit}, difference := _, unit := Unit}) ->
    [words(Bound), figure(Limit, Unit), " more"];
target(#{target := {Bound, Limit}, unit := Unit}) -> [words(Bound), figure(Limit, Unit)];
target(_) -> "".

words(at_most) -> "at most ";
words(at_least) -> "at least ".

met(#{target := Target, ratio := {Median, _, _}}) -> yes_or_no(Target, Median);
met(#{target := Target, difference := {Median, _, _}}) -> yes_or_no(Target, Median);
met(#{target := Target, ours := Ours}) -> yes_or_no(Target, bench_stat:median(Ours));
met(_) -> "".

yes_or_no({at_most, Limit}, Figure) when Figure =< Limit -> "yes";
yes_or_no({at_least, Limit}, Figure) when Figure >= Limit -> "yes";
yes_or_no(_, _) -> "**missed**".

number(Number) when Number >= 10 -> integer_to_list(round(Number));
number(Number) -> io_lib:format("~.2f", [float(Number)]).

-spec figure(number(), bench:unit()) -> iolist().
figure(Ns, ns) when abs(Ns) < 1.0e4 -> io_lib:format("~.2f us", [Ns / 1.0e3]);
figure(Ns, ns) when abs(Ns) < 1.0e6 -> io_lib:format("~b us", [round(Ns / 1.0e3)]);
figure(Ns, ns) when Ns < 1.0e8 -> io_lib:format("~.2f ms", [Ns / 1.0e6]);
figure(Ns, ns) -> io_lib:format("~b ms", [round(Ns / 1.0e6)]);
figure(Bytes, bytes) when abs(Bytes) < 65536 -> io_lib:format("~b bytes", [round(Bytes)]);
figure(Bytes, bytes) -> io_lib:format("~.2f MiB", [Bytes / 1048576]);
figure(Count, count) when is_integer(Count) -> io_lib:format("~b", [Count]);
figure(Count, count) -> io_lib:format("~.2f", [Count]);
figure(Rate, per_s) -> io_lib:format("~b/s", [round(Rate)]);
figure(Rate, bytes_per_s) -> io_lib:format("~b MiB/s", [round(Rate / 1048576)]).

%% ---------------------------------------------------------------------------------------------
%% CSV
%% ---------------------------------------------------------------------------------------------

quantiles(Outcome) ->
    each(Outcome, fun(Part, Series, Number, Unit, Samples) ->
        Figures = [bench_stat:quantile(Q, Samples) || Q <- ?QUANTILES],
        io_lib:format("~ts,~ts,~b,~ts,~b,~ts~n", [
            Part, Series, Number, Unit, length(Samples),
            lists:join($,, [plain(Figure) || Figure <- Figures])
        ])
    end).

samples(Outcome) ->
    each(Outcome, fun(Part, Series, Number, Unit, Samples) ->
        [io_lib:format("~ts,~ts,~b,~ts,~ts~n", [Part, Series, Number, Unit, plain(Sample)]) || Sample <- Samples]
    end).

plain(Figure) when is_integer(Figure) -> integer_to_list(Figure);
plain(Figure) -> float_to_list(Figure, [{decimals, 3}]).

each({Part, #{repetitions := Repetitions} = Outcome}, Fun) ->
    Units = maps:get(units, Outcome, #{}),
    [
        Fun(Part, Series, Number, maps:get(Series, Units, ns), Samples)
     || {Number, Repetition} <- lists:enumerate(Repetitions),
        {Series, Samples} <- lists:sort(maps:to_list(Repetition))
    ].
