%% How long net_kernel takes to answer, every few milliseconds while a fault lasts. Runs in the node
%% that suffers it.
%%
%% A machine with other work to do answers late by itself. What a late answer owes to that is known
%% to Linux: for how long the VM's scheduler threads were ready and did not get a processor
%% (/proc/self/task/N/schedstat), and for how long the machine itself had none (steal, /proc/stat).
%% What is left is ours.
-module(fault_probe).

-export([start/0, normal/0, stop/0]).

-export_type([figures/0]).

%% Microseconds.
-type figures() :: #{
    samples := pos_integer(),
    %% The median before the fault, and after.
    normal := non_neg_integer(),
    median := non_neg_integer(),
    worst := non_neg_integer(),
    %% The latest that an answer was beyond normal without the machine's fault: the worst of all, and
    %% the worst but for one in 500.
    worst_own := non_neg_integer(),
    own := non_neg_integer()
}.

-define(PAUSE_MS, 3).
%% Samples before the fault.
-define(BEFORE, 60).

-spec start() -> ok.
start() ->
    Starter = self(),
    Pid = spawn(fun() ->
        true = register(?MODULE, self()),
        %% As net_kernel's own: what other processes do is not what is measured.
        _ = process_flag(priority, high),
        Clock = open(),
        Starter ! {self(), started},
        sample(Clock, waited(Clock), [])
    end),
    receive {Pid, started} -> ok end.

%% Returns when there are enough samples of the time before the fault.
-spec normal() -> ok.
normal() -> ask({normal, self()}).

-spec stop() -> figures().
stop() -> ask({stop, self()}).

ask(Question) ->
    ?MODULE ! Question,
    receive {?MODULE, Answer} -> Answer after 60_000 -> error(probe_is_silent) end.

sample(Clock, Waited, Samples) ->
    receive
        {normal, From} when length(Samples) >= ?BEFORE ->
            From ! {?MODULE, ok},
            sample(Clock, Waited, Samples);
        {stop, From} ->
            ok = close(Clock),
            From ! {?MODULE, figures(lists:reverse(Samples))}
    after ?PAUSE_MS ->
        {Micros, Now} = timed(Clock),
        sample(Clock, Now, [{Micros, (Now - Waited) div 1000} | Samples])
    end.

timed(Clock) ->
    Start = erlang:monotonic_time(microsecond),
    _ = net_kernel:longnames(),
    {erlang:monotonic_time(microsecond) - Start, waited(Clock)}.

figures(Samples) ->
    Times = [Micros || {Micros, _} <- Samples],
    Normal = median(lists:sublist(Times, ?BEFORE)),
    Own = lists:sort([max(0, Micros - Normal - Waited) || {Micros, Waited} <- Samples]),
    #{samples => length(Times), normal => Normal, median => median(Times), worst => lists:max(Times),
        worst_own => lists:last(Own), own => lists:nth(length(Own) - length(Own) div 500, Own)}.

median(Times) -> lists:nth(1 + length(Times) div 2, lists:sort(Times)).

%% ---------------------------------------------------------------------------------------------
%% The time that the machine owes us, in nanoseconds
%% ---------------------------------------------------------------------------------------------

%% Opened once: one of the faults is that there are no descriptors left.
open() ->
    Tasks = filelib:wildcard("/proc/self/task/*"),
    Schedulers = [Task || Task <- Tasks, is_scheduler(Task)],
    Opened = [file:open(Path, [read, raw, binary]) || Path <- ["/proc/stat" | [Task ++ "/schedstat" || Task <- Schedulers]]],
    [File || {ok, File} <- Opened].

is_scheduler(Task) ->
    case file:read_file(Task ++ "/comm") of
        {ok, Name} -> binary:match(Name, <<"sched">>) =/= nomatch;
        {error, _} -> false
    end.

close(Files) -> lists:foreach(fun file:close/1, Files).

waited([Stat | Schedulers]) -> steal(words(Stat)) + lists:sum([delay(words(File)) || File <- Schedulers]).

words(File) ->
    {ok, Text} = file:pread(File, 0, 256),
    binary:split(Text, [<<" ">>, <<"\n">>], [global, trim_all]).

%% cpu user nice system idle iowait irq softirq steal ..., in hundredths of a second.
steal([_, _, _, _, _, _, _, _, Steal | _]) -> binary_to_integer(Steal) * 10_000_000.

%% Time on a processor, time ready without one, slices.
delay([_, Delay | _]) -> binary_to_integer(Delay).
