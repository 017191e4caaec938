%% Counts of look-ups, for info/0 and for `telemetry' where that application is there.
%%
%% Counters without a process or a lock: a known name costs one addition. They live as long as the VM.
-module(epmd_docker_stats).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([hit/0, start/0, miss/3, counts/0, daemon/2]).

-export_type([counts/0]).

-type counts() :: #{
    lookups := non_neg_integer(),
    %% Answered from memory, and those for which somebody was asked.
    hits := non_neg_integer(),
    misses := non_neg_integer(),
    %% By the name of the reason.
    errors := #{atom() => pos_integer()},
    %% Of the misses, in microseconds; at most a tenth too much.
    latency_us := #{p50 | p90 | p99 => pos_integer()}
}.

-define(KEY, {?MODULE, counters}).
-define(HITS, 1).
-define(MISSES, 2).
-define(REASONS, [
    no_such_container, not_running, ambiguous, not_published, loopback_only, no_network,
    host_not_allowed, bad_node_name, connect, tls, status, bad_response, too_large, not_in_epmd, dns,
    timeout, busy, cancelled, nif_not_loaded, bad_setting, other
]).
%% After these come the times: eight for each doubling, up to a minute.
-define(FIRST_TIME, (?MISSES + length(?REASONS) + 1)).
-define(TIMES, 208).

?DOC("A look-up was answered from memory.").
-spec hit() -> ok.
hit() ->
    counters:add(ref(), ?HITS, 1).

?DOC("When a look-up begins that may have to ask.").
-spec start() -> integer().
start() ->
    erlang:monotonic_time().

?DOC("It has ended so.").
-spec miss(Started :: integer(), Node :: binary(), {ok, map()} | {error, term()}) -> ok.
miss(Started, Node, Result) ->
    Ref = ref(),
    Duration = erlang:monotonic_time() - Started,
    Micros = erlang:convert_time_unit(Duration, native, microsecond),
    ok = counters:add(Ref, ?MISSES, 1),
    ok = counters:add(Ref, ?FIRST_TIME + slot(Micros), 1),
    ok = failed(Ref, Result),
    told([epmd_docker, lookup], #{duration => Duration}, metadata(Node, Result)).

failed(_Ref, {ok, _}) -> ok;
failed(Ref, {error, Reason}) -> counters:add(Ref, ?MISSES + position(name(Reason), ?REASONS), 1).

?DOC("A daemon has come or gone.").
-spec daemon(Endpoint :: binary(), up | {down, epmd_docker:reason()}) -> ok.
daemon(Endpoint, up) ->
    told([epmd_docker, daemon, up], #{count => 1}, #{daemon => Endpoint});
daemon(Endpoint, {down, Reason}) ->
    told([epmd_docker, daemon, down], #{count => 1}, #{daemon => Endpoint, reason => Reason}).

?DOC("All of them.").
-spec counts() -> counts().
counts() ->
    Ref = ref(),
    [Hits, Misses] = [counters:get(Ref, Index) || Index <- [?HITS, ?MISSES]],
    Errors = [{Name, counters:get(Ref, ?MISSES + position(Name, ?REASONS))} || Name <- ?REASONS],
    Times = [counters:get(Ref, ?FIRST_TIME + Slot) || Slot <- lists:seq(0, ?TIMES - 1)],
    #{lookups => Hits + Misses, hits => Hits, misses => Misses,
        errors => maps:from_list([Error || {_, Count} = Error <- Errors, Count > 0]),
        latency_us => quantiles(Times, lists:sum(Times))}.

quantiles(_Times, 0) ->
    #{};
quantiles(Times, Sum) ->
    maps:from_list([{Name, quantile(Times, ceil(Sum * Part), 0)} || {Name, Part} <- [{p50, 0.5}, {p90, 0.9}, {p99, 0.99}]]).

quantile([Count | Times], Rest, Slot) when Count < Rest, Times =/= [] ->
    quantile(Times, Rest - Count, Slot + 1);
quantile(_, _, Slot) ->
    round(math:pow(2, (Slot + 1) / 8)).

slot(Micros) ->
    min(?TIMES - 1, trunc(math:log2(max(1, Micros)) * 8)).

name(Reason) when is_tuple(Reason) -> element(1, Reason);
name(Reason) -> Reason.

position(Name, Names) -> position(Name, Names, 1).

position(_, [_], Position) -> Position;
position(Name, [Name | _], Position) -> Position;
position(Name, [_ | Names], Position) -> position(Name, Names, Position + 1).

%% Two processes that are first at the same time lose a count.
ref() ->
    case persistent_term:get(?KEY, undefined) of
        undefined ->
            Ref = counters:new(?FIRST_TIME + ?TIMES, [write_concurrency]),
            persistent_term:put(?KEY, Ref),
            Ref;
        Ref ->
            Ref
    end.

metadata(Node, {ok, #{source := Source}}) -> #{node => Node, result => ok, source => Source};
metadata(Node, {error, Reason}) -> #{node => Node, result => error, reason => Reason}.

%% A handler may do anything and take its time, so it runs in a process of its own, whatever this one
%% is: a connection, or an application.
told(Event, Measurements, Metadata) ->
    case erlang:function_exported(telemetry(), execute, 3) of
        true ->
            _ = spawn(fun() -> (telemetry()):execute(Event, Measurements, Metadata) end),
            ok;
        false ->
            ok
    end.

%% Not required: nothing here may depend on it.
-spec telemetry() -> module().
telemetry() -> telemetry.
