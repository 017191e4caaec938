%% The other end of prop_SUITE: runs in the node that is tried.
-module(prop_call).

-export([run/4]).

-type outcome() ::
    {returned, term()}
    | {raised, error | exit | throw, term()}
    %% Its process was ended by another one.
    | {ended, term()}
    | hangs.

%% Calls it in a process of its own: what came of it, and what it left in that process's mailbox.
-spec run(module(), atom(), [term()], timeout()) -> {outcome(), Messages :: [term()]}.
run(Module, Function, Arguments, Limit) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({done, call(Module, Function, Arguments)}) end),
    receive
        {'DOWN', Monitor, process, Pid, {done, Done}} -> Done;
        {'DOWN', Monitor, process, Pid, Reason} -> {{ended, Reason}, []}
    after Limit ->
        exit(Pid, kill),
        {hangs, []}
    end.

call(Module, Function, Arguments) ->
    _ = process_flag(trap_exit, true),
    Outcome =
        try
            {returned, apply(Module, Function, Arguments)}
        catch
            Class:Reason -> {raised, Class, Reason}
        end,
    {messages, Messages} = process_info(self(), messages),
    {Outcome, Messages}.
