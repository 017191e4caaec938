%% From the engine's `start' event to the new published port in the library's memory: what a node
%% that restarts cannot be reached for.
-module(bench_restart).
-behaviour(bench).

-export([run/1]).
-export([await/3]).

-define(RESTARTS, 3).

-spec run(bench:context()) -> bench:outcome().
run(#{image := Image, label := Label, container := Quiet, repeat := Repeat} = Context) ->
    Name = "epmd_docker_bench_restart",
    Id = string:slice(bench:docker(["run -d --init --label ", Label, " --name ", Name,
        " --label epmd-docker.port=4370 -p 4370 ", Image, " sleep 1000000"]), 0, 12),
    Peer = bench:peer(bench:library_args("bench_restart"),
        [{"EPMD_DOCKER_WATCH", "true"}, {"EPMD_DOCKER_ADDRESS", "published"}]),
    ok = peer:call(Peer, bench_known, known, ["x@" ++ Id]),
    Repetitions = [
        bench:progress(Context, Number, fun() ->
            #{event_to_port => [restart(Peer, Id, Quiet) || _ <- lists:seq(1, ?RESTARTS)]}
        end)
     || Number <- lists:seq(1, Repeat)
    ],
    ok = peer:stop(Peer),
    _ = bench:docker(["rm -f ", Id]),
    #{repetitions => Repetitions, rows => rows(Repetitions)}.

%% Both times are this machine's: the engine is here.
restart(Peer, Id, Quiet) ->
    Old = published(Id),
    Since = now_text(),
    {Waiting, Monitor} = spawn_monitor(fun() ->
        exit({known_at, peer:call(Peer, ?MODULE, await, [Id, Old, Quiet], 30_000)})
    end),
    _ = bench:docker(["restart -t 0 ", Id]),
    receive
        {'DOWN', Monitor, process, Waiting, {known_at, {At, New}}} ->
            New = published(Id),
            max(0, At - started(Id, Since));
        {'DOWN', Monitor, process, Waiting, Reason} ->
            error(Reason)
    end.

%% When the engine says that it started, in ns.
started(Id, Since) ->
    list_to_integer(bench:docker(["events --since ", Since, " --until ", now_text(),
        " --filter event=start --filter container=", Id, " --format '{{.TimeNano}}'"])).

now_text() ->
    Ns = erlang:system_time(nanosecond),
    io_lib:format("~b.~9..0b", [Ns div 1_000_000_000, Ns rem 1_000_000_000]).

published(Id) ->
    [First | _] = string:lexemes(bench:docker(["port ", Id, " 4370/tcp"]), "\n"),
    list_to_integer(lists:last(string:lexemes(First, ":"))).

%% Runs in the peer: waits until memory has another port, and when that was (system time, ns). The
%% look-up of another container sees to it that our own addresses, which look-ups read, are of late.
-spec await(string(), inet:port_number(), string()) -> {integer(), inet:port_number()}.
await(Id, Old, Quiet) ->
    _ = epmd_docker:resolve("x@" ++ Quiet),
    case epmd_docker_nif:address(iolist_to_binary(["x@", Id]), inet) of
        {in_container, _, New} when is_integer(New), New =/= Old ->
            {erlang:system_time(nanosecond), New};
        _ ->
            receive after 1 -> await(Id, Old, Quiet) end
    end.

rows(Repetitions) ->
    [
        bench:row(#{
            what => "from the engine's start event to the new published port in memory",
            ours => bench:series(event_to_port, Repetitions),
            target => {at_most, 50.0e6}
        })
    ].
