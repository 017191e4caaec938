%% What the library weighs: its file, and the memory and threads of a VM that has used it.
-module(bench_footprint).
-behaviour(bench).

-export([run/1]).

-define(MIB, 1048576).
-define(UNITS, #{
    library_memory => bytes, stock_memory => bytes, library_threads => count, stock_threads => count
}).

-spec run(bench:context()) -> bench:outcome().
run(#{repeat := Repeat} = Given) ->
    Context = Given#{units => ?UNITS},
    File = filename:join([filename:dirname(bench:library_ebin()), "priv", "epmd_docker_nif.so"]),
    Size = filelib:file_size(File),
    true = Size > 0,
    Repetitions = [
        bench:progress(Context, Number, fun() -> repetition(Context) end)
     || Number <- lists:seq(1, Repeat)
    ],
    #{repetitions => Repetitions, rows => rows(Size, Repetitions), units => ?UNITS}.

repetition(#{container := Id}) ->
    Stock = bench:peer(bench:stock_args("bench_footprint_stock"), bench:no_epmd()),
    Library = bench:peer(bench:library_args("bench_footprint_ours"), bench:no_epmd()),
    [_ | _] = [peer:call(Library, bench_lookup, address_please, ["x", Id]) || _ <- lists:seq(1, 1000)],
    Samples = maps:from_list(
        [{Name, [status(Peer, Key)]} ||
            {Name, Peer, Key} <- [
                {library_memory, Library, "VmRSS"}, {stock_memory, Stock, "VmRSS"},
                {library_threads, Library, "Threads"}, {stock_threads, Stock, "Threads"}
            ]]
    ),
    ok = peer:stop(Stock),
    ok = peer:stop(Library),
    Samples.

%% A field of /proc/PID/status; VmRSS in bytes, and after a garbage collection of every process.
status(Peer, Key) ->
    Processes = peer:call(Peer, erlang, processes, []),
    ok = peer:call(Peer, lists, foreach, [fun erlang:garbage_collect/1, Processes]),
    {ok, Text} = file:read_file("/proc/" ++ peer:call(Peer, os, getpid, []) ++ "/status"),
    {match, [Digits]} = re:run(Text, Key ++ ":\\s+(\\d+)", [{capture, all_but_first, list}]),
    case Key of
        "VmRSS" -> list_to_integer(Digits) * 1024;
        _ -> list_to_integer(Digits)
    end.

rows(Size, Repetitions) ->
    [Memory, StockMemory, Threads, StockThreads] = [
        [maps:get(Name, Repetition) || Repetition <- Repetitions]
     || Name <- [library_memory, stock_memory, library_threads, stock_threads]
    ],
    [
        bench:row(#{
            what => "the native library's file, stripped",
            unit => bytes,
            figures => true,
            ours => [Size],
            target => {at_most, 4 * ?MIB}
        }),
        bench:row(#{
            what => "memory (resident) of a VM after 1,000 lookups",
            unit => bytes,
            ours => Memory,
            reference => {"stock VM", StockMemory},
            difference => true,
            target => {at_most, 8 * ?MIB}
        }),
        bench:row(#{
            what => "threads of that VM",
            unit => count,
            ours => Threads,
            reference => {"stock VM", StockThreads},
            difference => true,
            target => {at_most, 1}
        })
    ].
