%% What a subscriber that does not read costs in a storm of events, against a scripted engine.
-module(subscriber_SUITE).

-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-define(CONTAINERS, 500).
-define(ROUNDS, 10).

suite() -> [{timetrap, {minutes, 1}}].

all() -> [our_module_is_in_use, a_suspended_subscriber_in_a_storm].

peer(Engine) ->
    testbed:peer(#{args => ["-pa", filename:dirname(code:which(?MODULE)), "-start_epmd", "false", "-epmd_module",
        "epmd_docker", "-sname", "sub" ++ integer_to_list(erlang:unique_integer([positive]))],
        env => [{"DOCKER_HOST", fake_engine:host(Engine)}, {"EPMD_DOCKER_ADDRESS", "published"},
        {"EPMD_DOCKER_REMOTE_PORT", "12345"}]}).

id(N) -> lists:flatten(io_lib:format("~12.16.0b", [N])) ++ lists:duplicate(52, $0).

engine() ->
    Owner = self(),
    List = lists:join(",", [io_lib:format("{\"Id\":\"~s\",\"Names\":[\"/c~b\"],\"State\":\"running\"}", [id(N), N])
        || N <- lists:seq(1, ?CONTAINERS)]),
    fake_engine:start(fun(Path) ->
        case string:lexemes(Path, "/?") of
            [_, "events" | _] -> {feed, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", Owner};
            [_, "containers", "json" | _] -> {200, ["[", List, "]"]};
            [_, "containers", Id, "json"] -> {200, fake_engine:inspect(Id)}
        end
    end).

event(Action, N) ->
    io_lib:format("{\"Type\":\"container\",\"Action\":\"~s\",\"Actor\":{\"ID\":\"~s\"},\"time\":7}~n", [Action, id(N)]).

our_module_is_in_use(_Config) ->
    Engine = engine(),
    Peer = peer(Engine),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])),
    testbed:stop(Peer),
    fake_engine:stop(Engine).

%% 10,000 events about 500 containers. The one that reads hears of all; the mailbox of the one that
%% does not stays small, nobody who asks waits, and when it reads again it hears what is true.
a_suspended_subscriber_in_a_storm(_Config) ->
    Engine = engine(),
    Peer = peer(Engine),
    [Reader, Sleeper] = [peer:call(Peer, erlang, spawn, [?MODULE, subscriber, []]) || _ <- [1, 2]],
    Feed = receive {feed, Pid} -> Pid after 10_000 -> ct:fail(not_followed) end,
    [testbed:eventually(fun() -> counts(Peer, One) =:= #{{snapshot, ?CONTAINERS} => 1} end, 20_000, One)
     || One <- [Reader, Sleeper]],
    Keeper = peer:call(Peer, erlang, spawn, [?MODULE, suspend, [Sleeper]]),
    testbed:eventually(fun() -> peer:call(Peer, erlang, process_info, [Sleeper, status]) =:= {status, suspended} end, 5000),
    [storm(Peer, Feed, Reader, Round) || Round <- lists:seq(1, ?ROUNDS)],
    {message_queue_len, Length} = peer:call(Peer, erlang, process_info, [Sleeper, message_queue_len]),
    ct:pal("~b messages to the one that reads, ~b in the mailbox of the other", [2 * ?ROUNDS * ?CONTAINERS, Length]),
    ?assert(Length > 900 andalso Length =< 1001, Length),
    _ = peer:call(Peer, erlang, send, [Keeper, go_on]),
    testbed:eventually(fun() -> maps:get({snapshot, ?CONTAINERS}, counts(Peer, Sleeper)) =:= 2 end, 10_000),
    testbed:stop(Peer),
    fake_engine:stop(Engine).

%% All die and start again; somebody asks meanwhile.
storm(Peer, Feed, Reader, Round) ->
    All = lists:seq(1, ?CONTAINERS),
    Feed ! {say, [event("die", N) || N <- All]},
    Feed ! {say, [event("start", N) || N <- All]},
    Node = list_to_binary(["app@", lists:sublist(id(Round), 12)]),
    {Ms, {ok, #{port := 40000}}} = testbed:elapsed(fun() -> peer:call(Peer, epmd_docker, resolve, [Node]) end),
    ?assert(Ms < 2000, Ms),
    testbed:eventually(fun() ->
        case counts(Peer, Reader) of
            #{{up, 1} := Ups, {down, 1} := Ups} -> Ups =:= Round * ?CONTAINERS;
            Other -> Other
        end
    end, 20_000, Round).

%% In the peer: counts what it is told.
subscriber() ->
    ok = epmd_docker:subscribe(),
    count(#{}).

count(Counts) ->
    receive
        {counts, From} -> From ! {self(), Counts}, count(Counts);
        {epmd_docker, What, Info} ->
            Key = {What, case Info of #{} -> 1; List -> length(List) end},
            count(maps:update_with(Key, fun(N) -> N + 1 end, 1, Counts))
    end.

counts(Peer, Subscriber) -> peer:call(Peer, ?MODULE, ask, [Subscriber]).

ask(Subscriber) ->
    Subscriber ! {counts, self()},
    receive {Subscriber, Counts} -> Counts after 5000 -> error(no_answer) end.

%% For as long as it lives itself.
suspend(Pid) ->
    true = erlang:suspend_process(Pid),
    receive go_on -> ok end.
