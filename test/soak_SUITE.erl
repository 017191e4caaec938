%% Hours of churn in a minute, or in as many as SOAK_MINUTES says (`make soak`): containers with
%% nodes start, stop, are paused and made anew, one node connects, disconnects and looks up all the
%% time, and its memory, threads and descriptors are as many at the end as they were.
%%
%% It has a label of its own, so that no other suite's clearing up ends it.
-module(soak_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-define(LABEL, "epmd_docker.soak").
-define(IMAGE, "epmd_docker_soak:otp" ++ erlang:system_info(otp_release)).
-define(SLOTS, ["edsoak1", "edsoak2", "edsoak3"]).
-define(PORT, "9175").

suite() -> [{timetrap, {minutes, minutes() + 10}}].

all() -> [our_module_is_in_use, memory_threads_and_descriptors_stay_flat].

minutes() -> list_to_integer(os:getenv("SOAK_MINUTES", "1")).

init_per_suite(Config) ->
    case testbed:engine() of
        ok ->
            clear(),
            {ok, _} = testbed:sh([filename:join([testbed:root(), "test", "support", "image"]), "tiny", ?IMAGE]),
            Config;
        Skip ->
            Skip
    end.

end_per_suite(_) -> clear().

%% What this run made, and what a killed one left behind.
clear() ->
    Lines = testbed:docker(main, ["ps", "-a", "--filter", "label=" ?LABEL, "--format", "{{.ID}} {{.Label \"" ?LABEL "\"}}"]),
    Ids = [Id || Line <- string:lexemes(Lines, "\n"), [Id, Owner] <- [string:lexemes(Line, " ")], ours(Owner)],
    _ = Ids =/= [] andalso testbed:try_docker(main, ["rm", "-f", "-v" | Ids]),
    ok.

ours(Owner) -> Owner =:= os:getpid() orelse not filelib:is_dir("/proc/" ++ Owner).

watcher() ->
    testbed:peer(#{args => ["-pa", filename:dirname(code:which(?MODULE)), "-start_epmd", "false", "-epmd_module",
        "epmd_docker", "-setcookie", "secret", "-kernel", "net_ticktime", "8", "-sname",
        "soak" ++ integer_to_list(erlang:unique_integer([positive]))]}).

our_module_is_in_use(_Config) ->
    Peer = watcher(),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])),
    testbed:stop(Peer).

memory_threads_and_descriptors_stay_flat(_Config) ->
    Names = [Slot ++ "-" ++ os:getpid() || Slot <- ?SLOTS],
    Nodes = [list_to_atom("app@" ++ Name) || Name <- Names],
    [start(Name) || Name <- Names],
    Peer = watcher(),
    [connected(Peer, Node) || Node <- Nodes],
    ok = peer:call(Peer, soak_load, start, [[atom_to_binary(Node) || Node <- Nodes]]),
    Seconds = minutes() * 60,
    Samples = #{each => min(10_000, Seconds * 1000 div 60), file => csv(), start => now_ms()},
    Sampler = spawn_link(fun() -> sampler(Peer, Samples) end),
    Cycles = churn(Peer, lists:zip(Names, Nodes), now_ms() + Seconds * 1000, 0),
    Rows = stop_sampler(Sampler),
    Counts = peer:call(Peer, soak_load, counts, []),
    Info = peer:call(Peer, epmd_docker, info, []),
    ok = peer:call(Peer, soak_load, stop, []),
    judge(Rows, Cycles, Counts, Info),
    testbed:stop(Peer).

csv() ->
    File = os:getenv("SOAK_CSV", filename:join([testbed:root(), "_build", "test", "logs", "soak.csv"])),
    ok = filelib:ensure_dir(File),
    File.

now_ms() -> erlang:monotonic_time(millisecond).

%% ---------------------------------------------------------------------------------------------
%% Churn
%% ---------------------------------------------------------------------------------------------

start(Name) ->
    testbed:docker(main, ["run", "-d", "--init", "--name", Name, "--hostname", Name, "--label", ?LABEL "=" ++ os:getpid(),
        "--label", "epmd-docker.port=" ?PORT, "-p", ?PORT, ?IMAGE, "erl", "-noinput", "-start_epmd", "false",
        "-erl_epmd_port", ?PORT, "-sname", "app@" ++ Name, "-setcookie", "secret", "-kernel", "net_ticktime", "8"]).

churn(Peer, Slots, Until, Cycle) ->
    case now_ms() < Until of
        true ->
            {Name, Node} = lists:nth(1 + Cycle rem length(Slots), Slots),
            change(Cycle div length(Slots) rem 4, Name),
            connected(Peer, Node),
            _ = Cycle rem 2 =:= 0 andalso peer:call(Peer, erlang, disconnect_node, [Node]),
            %% A steady, modest load: there may be other work for this machine.
            timer:sleep(4000),
            churn(Peer, Slots, Until, Cycle + 1);
        false ->
            Cycle
    end.

change(0, Name) ->
    testbed:docker(main, ["restart", "-t", "0", Name]);
change(1, Name) ->
    testbed:docker(main, ["rm", "-f", Name]),
    start(Name);
change(2, Name) ->
    testbed:docker(main, ["pause", Name]),
    testbed:docker(main, ["unpause", Name]);
change(3, Name) ->
    testbed:docker(main, ["kill", Name]),
    testbed:docker(main, ["start", Name]).

connected(Peer, Node) ->
    testbed:eventually(fun() ->
        peer:call(Peer, net_kernel, connect_node, [Node], 20_000) andalso
            peer:call(Peer, rpc, call, [Node, erlang, node, [], 5000], 20_000) =:= Node
    end, 30_000, Node).

%% ---------------------------------------------------------------------------------------------
%% Samples
%% ---------------------------------------------------------------------------------------------

-define(COLUMNS, [total, processes_memory, binary, ets, rss, threads, fds, processes, ports, atoms]).

sampler(Peer, #{each := Each, file := File, start := Start} = Samples) ->
    {ok, Out} = file:open(File, [write]),
    ok = io:format(Out, "seconds~s~n", [[[$,, atom_to_list(Column)] || Column <- ?COLUMNS]]),
    OsPid = peer:call(Peer, os, getpid, []),
    sample(Peer, OsPid, Out, Each, Start, Samples, []).

sample(Peer, OsPid, Out, Each, Start, Samples, Rows) ->
    receive
        {stop, From} ->
            ok = file:close(Out),
            From ! {self(), lists:reverse(Rows)}
    after Each ->
        Row = measured(Peer, OsPid),
        Seconds = (now_ms() - Start) div 1000,
        ok = io:format(Out, "~b~s~n", [Seconds, [[$,, integer_to_list(maps:get(Column, Row))] || Column <- ?COLUMNS]]),
        sample(Peer, OsPid, Out, Each, Start, Samples, [Row | Rows])
    end.

stop_sampler(Sampler) ->
    Sampler ! {stop, self()},
    receive {Sampler, Rows} -> Rows after 30_000 -> error(no_samples) end.

%% Bytes and counts. Collected first: what is garbage is no growth.
measured(Peer, OsPid) ->
    Proc = "/proc/" ++ OsPid,
    [peer:call(Peer, erlang, garbage_collect, [Pid]) || Pid <- peer:call(Peer, erlang, processes, [])],
    Memory = peer:call(Peer, erlang, memory, []),
    Count = fun(What) -> peer:call(Peer, erlang, system_info, [What]) end,
    #{
        total => proplists:get_value(total, Memory),
        processes_memory => proplists:get_value(processes, Memory),
        binary => proplists:get_value(binary, Memory),
        ets => proplists:get_value(ets, Memory),
        rss => 1024 * status(Proc, "VmRSS:"),
        threads => status(Proc, "Threads:"),
        fds => entries(Proc ++ "/fd"),
        processes => Count(process_count),
        ports => Count(port_count),
        atoms => Count(atom_count)
    }.

status(Proc, Key) ->
    {ok, Text} = file:read_file(Proc ++ "/status"),
    [Value | _] = string:lexemes(string:find(Text, Key), " \t\n") -- [list_to_binary(Key)],
    binary_to_integer(Value).

entries(Dir) ->
    {ok, Names} = file:list_dir(Dir),
    length(Names).

%% ---------------------------------------------------------------------------------------------
%% Verdict
%% ---------------------------------------------------------------------------------------------

%% How much more the last quarter may have than the second, by its median: {part of it, and at least}.
allowed(rss) -> {0.03, 6 bsl 20};
allowed(total) -> {0.03, 2 bsl 20};
allowed(threads) -> {0.0, 0};
allowed(fds) -> {0.0, 3};
allowed(processes) -> {0.0, 10};
allowed(atoms) -> {0.0, 200};
allowed(_) -> any.

judge(Rows, Cycles, Counts, Info) ->
    Quarter = length(Rows) div 4,
    Second = lists:sublist(Rows, Quarter + 1, Quarter),
    Last = lists:nthtail(length(Rows) - Quarter, Rows),
    Compared = [{Column, median(Column, Second), median(Column, Last)} || Column <- ?COLUMNS],
    Grown = [One || {Column, Before, After} = One <- Compared, grew(allowed(Column), Before, After)],
    #{daemons := [#{requests := Requests, reconnects := Reconnects} | _]} = Info,
    Line = io_lib:format("soak: ~b min, ~b changes of containers, answers ~0p, ~b requests, ~b reconnects; "
        "second quarter -> last: ~s: ~s", [minutes(), Cycles, Counts, Requests, Reconnects,
        lists:join(", ", [io_lib:format("~s ~b -> ~b", [Column, B, A]) || {Column, B, A} <- Compared]),
        case Grown of [] -> "flat"; _ -> "GROWN" end]),
    io:format(user, "~n~ts~n", [Line]),
    ct:pal("~ts", [Line]),
    ?assertEqual([], Grown),
    ?assert(Cycles > 0 andalso maps:get(ok, Counts) > 0, Counts).

grew(any, _, _) -> false;
grew({Part, AtLeast}, Before, After) -> After - Before > max(Before * Part, AtLeast).

median(Column, Rows) ->
    Sorted = lists:sort([maps:get(Column, Row) || Row <- Rows]),
    lists:nth(1 + length(Sorted) div 2, Sorted).
