%% A stream of events that is silent, broken off, repeated or in disorder: a scripted engine, whose
%% container moves to another port, and a node that follows it.
-module(faults_events_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-define(ID, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef").
-define(NODE, <<"app@web">>).
-define(OK, "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n").
-define(PING, {200, "OK", "Api-Version: 1.41\r\n"}).

suite() -> [{timetrap, {minutes, 2}}].

all() -> [our_module_is_in_use, never_answered, silent, broken_off, repeated, out_of_order, without_an_end, nonsense].

init_per_suite(Config) ->
    ok = fault:new_table(?MODULE),
    Config.

end_per_suite(_) -> fault:write_table().

%% The engine: `port' of its container, and whether its events are sent as they should (`stream').
init_per_testcase(Case, Config) ->
    Table = ets:new(script, [public]),
    Stream = case Case of never_answered -> never; _ -> good end,
    true = ets:insert(Table, [{port, 40000}, {stream, Stream}]),
    Engine = fake_engine:start(fun(Path) -> answer(Table, Path, path_kind(Path)) end, in_script),
    Peer = fault:node([{"DOCKER_HOST", fake_engine:host(Engine)}, {"EPMD_DOCKER_ADDRESS", "published"},
        {"EPMD_DOCKER_REMOTE_PORT", "12345"}, {"EPMD_DOCKER_TIMEOUT_MS", "1000"}, {"EPMD_DOCKER_REFRESH_MS", "1000"}]),
    true = unlink(Peer),
    {Pid, _} = Engine,
    true = unlink(Pid),
    [{peer, Peer}, {engine, Engine}, {script, Table} | Config].

end_per_testcase(_, Config) ->
    testbed:stop(?config(peer, Config)),
    fake_engine:stop(?config(engine, Config)).

path_kind(Path) ->
    Kinds = [{"/_ping", ping}, {"/events", events}, {"/containers/json", list}],
    hd([Kind || {Part, Kind} <- Kinds, string:find(Path, Part) =/= nomatch] ++ [inspect]).

answer(_, _, ping) -> ?PING;
answer(Table, _, events) ->
    case get(Table, stream) of
        never -> hang;
        _ -> {with, fun(Socket) -> ok = gen_tcp:send(Socket, [?OK, "\r\n"]), stream(Table, Socket) end}
    end;
answer(Table, _, list) ->
    {200, io_lib:format("[{\"Id\":\"~s\",\"Names\":[\"/web\"],\"State\":\"running\",\"Labels\":{},\"Ports\":[{\"IP\":\"0.0.0.0\","
        "\"PrivatePort\":12345,\"PublicPort\":~b,\"Type\":\"tcp\"}],\"NetworkSettings\":{\"Networks\":{\"bridge\":"
        "{\"IPAddress\":\"172.17.0.99\"}}}}]", [?ID, get(Table, port)])};
answer(Table, _, inspect) ->
    {200, string:replace(lists:flatten(fake_engine:inspect(?ID)), "40000", integer_to_list(get(Table, port)))}.

get(Table, Key) -> ets:lookup_element(Table, Key, 2).

%% Sends what the test wants to be sent, until the other side or the test ends it.
stream(Table, Socket) ->
    true = ets:insert(Table, {streaming, self()}),
    ok = inet:setopts(Socket, [{active, true}]),
    pass_on(Socket).

pass_on(Socket) ->
    receive
        {send, Bytes} -> _ = gen_tcp:send(Socket, Bytes), pass_on(Socket);
        close -> ok;
        {tcp_closed, Socket} -> ok;
        {tcp_error, Socket, _} -> ok
    end.

send(Config, What) ->
    [{streaming, Pid}] = ets:lookup(?config(script, Config), streaming),
    Pid ! What.

event(Action, Nano) ->
    io_lib:format("{\"Type\":\"container\",\"Action\":\"~s\",\"Actor\":{\"ID\":\"~s\",\"Attributes\":{\"name\":\"web\"}},"
        "\"time\":~b,\"timeNano\":~b}~n", [Action, ?ID, Nano div 1_000_000_000, Nano]).

events(Actions) ->
    Now = erlang:system_time(nanosecond),
    [event(Action, Now + Later) || {Action, Later} <- Actions].

restart() -> [{"die", 0}, {"start", 1000}].

moves(Config, Port) -> ets:insert(?config(script, Config), {port, Port}).

follows(Config) ->
    Peer = ?config(peer, Config),
    fault:works(Peer, ?NODE),
    testbed:eventually(fun() ->
        case peer:call(Peer, epmd_docker, info, []) of
            #{daemons := [#{watch := following, known := 1}]} -> true;
            #{daemons := Daemons} -> Daemons
        end
    end, 10_000).

at(Port) -> fun({ok, #{port := P} = Found}) -> P =:= Port andalso not is_map_key(stale, Found); (_) -> false end.

row(Config, Row) ->
    fault:row(?config(peer, Config), maps:merge(#{node => ?NODE, connect => ['app@ed_one'], by => 1500,
        well => at(40001)}, Row)).

%% Right from a second after the fault on at the latest: asked again until then.
new_port(Result) -> lists:any(fun(Port) -> (at(Port))(Result) end, [40000, 40001]).

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    Peer = ?config(peer, Config),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])).

%% Not followed, so asked each time.
never_answered(Config) ->
    row(Config, #{fault => "the request for events is never answered", inject => fun() -> moves(Config, 40001) end,
        mend => fun(_) -> ok end, expect => at(40001)}),
    ?assertMatch(#{daemons := [#{watch := starting}]}, peer:call(?config(peer, Config), epmd_docker, info, [])).

%% An engine that has new things to tell and does not: the next list shows it.
silent(Config) ->
    follows(Config),
    row(Config, #{fault => "events that are not sent: the next list shows the change (`refresh_interval`: 1 s here)",
        inject => fun() -> moves(Config, 40001) end,
        meanwhile => fun(_) -> timer:sleep(1000) end,
        mend => fun(_) -> ok end, expect => fun new_port/1}).

broken_off(Config) ->
    follows(Config),
    Half = fun() -> binary:part(iolist_to_binary(events(restart())), 0, 100) end,
    row(Config, #{fault => "the stream ends in the middle of an event", inject => fun() ->
        moves(Config, 40001),
        send(Config, {send, Half()}),
        send(Config, close)
    end, mend => fun(_) -> ok end, expect => fun new_port/1}),
    follows(Config).

repeated(Config) ->
    follows(Config),
    row(Config, #{fault => "each event 1,000 times", inject => fun() ->
        moves(Config, 40001),
        [send(Config, {send, lists:duplicate(1000, Event)}) || Event <- events(restart())]
    end, mend => fun(_) -> ok end, expect => fun new_port/1}).

%% What an event says has to be asked anyway, so their order does not matter.
out_of_order(Config) ->
    follows(Config),
    row(Config, #{fault => "events in the wrong order, with times that go back", inject => fun() ->
        moves(Config, 40001),
        send(Config, {send, events([{"start", -1_000_000_000}, {"die", -60_000_000_000}])})
    end, mend => fun(_) -> ok end, expect => fun new_port/1}).

without_an_end(Config) ->
    follows(Config),
    row(Config, #{fault => "an event of 3 MB", inject => fun() ->
        moves(Config, 40001),
        send(Config, {send, ["{\"Type\":\"", binary:copy(<<"x">>, 3_000_000), "\"}\n", events(restart())]})
    end, mend => fun(_) -> ok end, expect => fun new_port/1}).

nonsense(Config) ->
    follows(Config),
    row(Config, #{fault => "events that are no JSON, or of other kinds", inject => fun() ->
        moves(Config, 40001),
        send(Config, {send, ["what?\n", "[]\n", "null\n", "{\"Type\":17}\n", <<255, 254, 10>>, lists:duplicate(50_000, $[), "\n",
            "{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"../../x\"}}\n", events(restart())]})
    end, mend => fun(_) -> ok end, expect => fun new_port/1}).
