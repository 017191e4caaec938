%% Runs the parts of the benchmark, each a module with this behaviour, and has their tables written.
%% scripts/bench prepares the containers, starts the VM with the library and calls main/0.
%%
%% A new part is a module bench_NAME with run/1, and its name in ?PARTS.
-module(bench).

-export([main/0, progress/3, row/1]).
-export([peer/2, library_args/1, stock_args/1, library_ebin/0, os_process/3]).
-export([free_port/0, no_epmd/0, series/2, docker/1]).

-export_type([context/0, outcome/0, repetition/0, row/0, unit/0]).

-type context() :: #{
    %% Short id of a container with the label epmd-docker.port: no epmd is asked.
    container := string(),
    %% Short id of a container with epmd in it and two nodes, `app', whose port a label tells, and
    %% `plain', whose port only that epmd knows; and its address.
    node_container := string(),
    node_address := string(),
    %% The engine's unix socket.
    socket := file:filename(),
    %% For containers of a part's own.
    image := string(),
    label := string(),
    quick := boolean(),
    %% Repetitions, and samples of each series in one of them.
    repeat := pos_integer(),
    samples := pos_integer(),
    units => #{Series :: atom() => unit()}
}.
-type unit() :: ns | bytes | count | per_s | bytes_per_s.
-type repetition() :: #{Series :: atom() => bench_stat:samples()}.
-type outcome() :: #{
    repetitions := [repetition()],
    rows := [row()],
    %% Series that are not in nanoseconds.
    units => #{Series :: atom() => unit()}
}.
%% One line of the table. The figures are one for each repetition.
-type row() :: #{
    what := iodata(),
    unit := unit(),
    ours := [number()],
    reference => {Name :: iodata(), [number()]},
    %% Of each, where samples were taken.
    p99 => number(),
    reference_p99 => number(),
    %% Ours to the reference's, or how much more it is.
    ratio => bench_stat:spread(),
    difference => bench_stat:spread(),
    %% Which of the two the ratio has on top.
    faster => boolean(),
    %% Of the ratio or difference where there is one, else of our own figure.
    target => {at_most | at_least, number()}
}.

-callback run(context()) -> outcome().

-define(PARTS, [
    lookup, known, subprocess, boot, connect, traffic, net_kernel, restart, mesh, index, footprint
]).

%% ---------------------------------------------------------------------------------------------
%% The run
%% ---------------------------------------------------------------------------------------------

-spec main() -> no_return().
main() ->
    try run() of
        ok -> halt(0)
    catch
        Class:Reason:Stack ->
            io:format("bench: ~tp~n", [{Class, Reason, Stack}]),
            halt(1)
    end.

run() ->
    Parts =
        case init:get_plain_arguments() of
            [] -> ?PARTS;
            Names -> [part(Name) || Name <- Names]
        end,
    Context = context(),
    Load = bench_report:load(),
    Outcomes = [{Part, run_part(Part, Context)} || Part <- Parts],
    bench_report:write(Outcomes, Context#{
        load => {Load, bench_report:load()},
        complete => Parts =:= ?PARTS andalso os:getenv("BENCH_QUICK", "") =:= ""
    }).

part(Name) ->
    [Part] = [Part || Part <- ?PARTS, atom_to_list(Part) =:= Name],
    Part.

run_part(Part, Context) ->
    io:format("~n== ~ts~n", [Part]),
    Module = list_to_atom("bench_" ++ atom_to_list(Part)),
    Module:run(Context).

context() ->
    Quick = os:getenv("BENCH_QUICK", "") =/= "",
    #{
        container => os:getenv("BENCH_CONTAINER"),
        node_container => os:getenv("BENCH_NODE"),
        node_address => os:getenv("BENCH_NODE_ADDRESS"),
        image => os:getenv("BENCH_IMAGE"),
        label => os:getenv("BENCH_LABEL"),
        quick => Quick,
        socket => os:getenv("BENCH_SOCKET"),
        repeat => number("BENCH_REPEAT", if Quick -> 2; true -> 7 end),
        samples => number("BENCH_SAMPLES", if Quick -> 200; true -> 1000 end)
    }.

number(Name, Default) ->
    list_to_integer(os:getenv(Name, integer_to_list(Default))).

%% ---------------------------------------------------------------------------------------------
%% For the parts
%% ---------------------------------------------------------------------------------------------

%% Runs one repetition and says what it gave.
-spec progress(context(), pos_integer(), fun(() -> repetition())) -> repetition().
progress(#{repeat := Repeat} = Context, Number, Fun) ->
    Repetition = Fun(),
    Units = maps:get(units, Context, #{}),
    Medians = [
        begin
            Unit = maps:get(Series, Units, ns),
            [atom_to_list(Series), $\s, bench_report:figure(bench_stat:median(Samples), Unit)]
        end
     || {Series, Samples} <- lists:sort(maps:to_list(Repetition))
    ],
    io:format("  ~b/~b: ~ts~n", [Number, Repeat, lists:join(", ", Medians)]),
    Repetition.

%% A row from the samples of each repetition (their median, or another quantile), or, with
%% `figures', from figures as they are. With `difference => true' it is compared by that.
-spec row(map()) -> row().
row(#{what := What, ours := Ours} = Given) ->
    Row = (maps:with([target, faster], Given))#{
        what => What,
        unit => maps:get(unit, Given, ns),
        ours => figures(Ours, Given)
    },
    case Given of
        #{reference := {Name, Samples}} ->
            compared(Row, Name, figures(Samples, Given), Given);
        _ ->
            with_p99(p99, Ours, Row, Given)
    end.

figures(Figures, #{figures := true}) -> Figures;
figures(Repetitions, Given) ->
    Q = maps:get(quantile, Given, 0.5),
    [bench_stat:quantile(Q, Samples) || Samples <- Repetitions].

compared(#{ours := Ours} = Row, Name, Figures, #{ours := Own, reference := {_, Other}} = Given) ->
    Compared =
        case Given of
            #{faster := true} -> #{ratio => ratios(Figures, Ours)};
            #{difference := true} -> #{difference => bench_stat:spread(lists:zipwith(fun erlang:'-'/2, Ours, Figures))};
            _ -> #{ratio => ratios(Ours, Figures)}
        end,
    With = with_p99(reference_p99, Other, with_p99(p99, Own, Row, Given), Given),
    maps:merge(With#{reference => {Name, Figures}}, Compared).

ratios(A, B) -> bench_stat:spread(bench_stat:ratios(A, B)).

%% What was measured once in a repetition has none.
with_p99(Key, [[_, _ | _] | _] = Repetitions, Row, Given) when not is_map_key(quantile, Given) ->
    Row#{Key => bench_stat:median([bench_stat:quantile(0.99, Samples) || Samples <- Repetitions])};
with_p99(_, _, Row, _) ->
    Row.

%% Another VM on this machine, controlled over its standard input and output.
-spec peer([string()], [{string(), string()}]) -> pid().
peer(Args, Env) ->
    {ok, Peer, _} = peer:start_link(#{
        connection => standard_io,
        args => ["-pa", filename:dirname(code:which(?MODULE)) | Args],
        env => Env,
        wait_boot => 30_000
    }),
    Peer.

%% This VM's ERL_DIST_PORT is not for others: scripts/bench takes it out of the environment.
-spec library_args(string()) -> [string()].
library_args(Name) ->
    ["-pa", library_ebin(), "-epmd_module", "epmd_docker" | stock_args(Name)].

-spec stock_args(string()) -> [string()].
stock_args(Name) ->
    ["-start_epmd", "false", "-erl_epmd_port", integer_to_list(free_port()), "-sname", Name].

-spec library_ebin() -> file:filename().
library_ebin() ->
    filename:dirname(code:which(epmd_docker)).

%% Runs a program to its end; what it prints is read and dropped.
-spec os_process(file:filename(), [string()], [{string(), string()}]) -> ok | {exit, integer()}.
os_process(Program, Args, Env) ->
    Port = open_port({spawn_executable, Program}, [
        {args, Args}, {env, Env}, exit_status, stderr_to_stdout, in, binary, hide
    ]),
    ended(Port).

ended(Port) ->
    receive
        {Port, {data, _}} -> ended(Port);
        {Port, {exit_status, 0}} -> ok;
        {Port, {exit_status, Status}} -> {exit, Status}
    end.

%% The samples of a series in each repetition.
-spec series(atom(), [repetition()]) -> [bench_stat:samples()].
series(Name, Repetitions) -> [maps:get(Name, Repetition) || Repetition <- Repetitions].

%% What the docker command prints; it has to succeed.
-spec docker(iodata()) -> string().
docker(Args) ->
    Output = os:cmd(lists:flatten(["docker ", unicode:characters_to_list(Args), "; echo ok=$?"])),
    case string:split(Output, "ok=", trailing) of
        [Text, "0\n"] -> string:trim(Text);
        _ -> error({docker, Args, Output})
    end.

%% The environment of a VM that is to find no epmd, whether one runs on this machine or not.
-spec no_epmd() -> [{string(), string()}].
no_epmd() ->
    [{"ERL_EPMD_PORT", integer_to_list(free_port())}].

%% A port that nobody listens on at this moment.
-spec free_port() -> inet:port_number().
free_port() ->
    {ok, Socket} = gen_tcp:listen(0, [{reuseaddr, true}]),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    Port.
