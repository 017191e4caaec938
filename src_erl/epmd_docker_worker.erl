%% Runs what may wait in a short-lived process of its own, with a limit.
%%
%% The callers are connection processes of OTP, in whose mailbox a late reply would be noise: the
%% worker replies to an alias, which ends with the wait, and takes everything else with it.
-module(epmd_docker_worker).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([run/2]).

-export_type([reply/1, caller/0]).

-type reply(T) :: fun((T) -> ok).
%% The worker's monitor of its caller.
-type caller() :: reference().

?DOC("""
Calls `Work(Reply, Caller)` in a process of its own and waits for it to call `Reply(Result)`,
after which it may go on. At the limit it is killed.
""").
-spec run(fun((reply(T), caller()) -> term()), TimeoutMs :: non_neg_integer()) ->
    {ok, T} | timeout | {crashed, Reason :: term()}.
%% A bad time must raise before there is a worker, which nobody would end.
run(Work, Timeout) when is_integer(Timeout), Timeout >= 0, Timeout =< 16#FFFFFFFF ->
    Caller = self(),
    {Worker, Alias} = erlang:spawn_opt(
        fun() -> start(Work, Caller) end,
        [{monitor, [{alias, reply_demonitor}]}]
    ),
    Worker ! {start, Alias},
    receive
        {Alias, Result} -> {ok, Result};
        {'DOWN', Alias, process, Worker, Reason} -> {crashed, Reason}
    after Timeout ->
        true = erlang:demonitor(Alias, [flush]),
        true = exit(Worker, kill),
        timeout
    end.

%% The alias is only known once the process is there.
start(Work, Caller) ->
    Monitor = erlang:monitor(process, Caller),
    receive
        {start, Alias} ->
            Work(fun(Result) -> Alias ! {Alias, Result}, ok end, Monitor);
        {'DOWN', Monitor, process, Caller, _} ->
            ok
    end.
