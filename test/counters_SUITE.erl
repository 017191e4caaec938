%% What info/0 counts, what `telemetry' is told, and what is logged of a daemon that goes and comes.
-module(counters_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-define(ID, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef").

suite() -> [{timetrap, {minutes, 2}}].

all() ->
    [
        our_module_is_in_use,
        lookups_are_counted,
        telemetry_is_told,
        telemetry_is_told_of_daemons,
        telemetry_is_not_needed,
        a_handler_that_hangs_or_fails_holds_up_nobody,
        a_daemon_that_goes_and_comes_is_logged,
        a_daemon_that_comes_and_goes_all_the_time_is_logged_now_and_then,
        the_process_that_logs_may_die
    ].

init_per_testcase(Case, Config) ->
    Log = filename:join(?config(priv_dir, Config), atom_to_list(Case) ++ ".log"),
    [{log, Log} | Config].

end_per_testcase(_, _) -> ok.

peer(Config, Env) ->
    testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "secret", "-sname",
        "counted" ++ integer_to_list(erlang:unique_integer([positive])), "-pa", filename:dirname(code:which(?MODULE)),
        "-kernel", "logger", testbed:log_of(?config(log, Config))], env => Env}).

%% One container, called web; everything else is not there.
engine() ->
    fake_engine:start(fun
        ("/v1.41/containers/web/json") -> {200, fake_engine:inspect(?ID)};
        ("/v1.41/containers/json" ++ _) -> {200, "[]"};
        (_) -> {404, "{\"message\":\"No such container\"}"}
    end).

watched_not(Engine) -> [{"DOCKER_HOST", fake_engine:host(Engine)} | unwatched()].

%% Each request is one of a look-up; the port is known, so that no epmd is asked.
unwatched() -> [{"EPMD_DOCKER_WATCH", "false"}, {"EPMD_DOCKER_REMOTE_PORT", "12345"}].

resolve(Peer, Node) -> peer:call(Peer, epmd_docker, resolve, [Node]).

counts(Peer) -> maps:get(lookups, peer:call(Peer, epmd_docker, info, [])).

our_module_is_in_use(Config) ->
    Peer = peer(Config, watched_not(engine())),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assertEqual(#{lookups => 0, hits => 0, misses => 0, errors => #{}, latency_us => #{}}, counts(Peer)),
    testbed:stop(Peer).

lookups_are_counted(Config) ->
    Peer = peer(Config, watched_not(engine())),
    [{ok, _} = resolve(Peer, <<"web@web">>) || _ <- lists:seq(1, 5)],
    [{error, _} = resolve(Peer, <<"a@nothing">>) || _ <- lists:seq(1, 3)],
    ok = peer:call(Peer, epmd_docker, add_node, [<<"t@table">>, <<"127.0.0.1">>, 1]),
    [{ok, _} = resolve(Peer, <<"t@table">>) || _ <- lists:seq(1, 7)],
    {ok, _, _, _} = peer:call(Peer, epmd_docker, address_please, ["web", "web", inet]),
    ?assertMatch(#{lookups := 16, hits := 7, misses := 9, errors := #{no_such_container := 3},
        latency_us := #{p50 := P50, p90 := P90, p99 := P99}} when P50 > 10 andalso P90 >= P50 andalso P99 >= P90 andalso P99 < 5_000_000,
        counts(Peer)),
    #{daemons := [#{requests := Requests}]} = peer:call(Peer, epmd_docker, info, []),
    ?assert(Requests >= 9),
    testbed:stop(Peer).

%% ---------------------------------------------------------------------------------------------

%% That application cannot be had here (hex): a module of its name, with the one function.
telemetry(Peer, Handler) ->
    Source = "-module(telemetry). -export([execute/3]). execute(Event, Measurements, Metadata) -> " ++ Handler ++ ".",
    {ok, Tokens, _} = erl_scan:string(Source),
    {ok, telemetry, Binary} = compile:forms(forms(Tokens), [binary]),
    {module, telemetry} = peer:call(Peer, code, load_binary, [telemetry, "telemetry", Binary]).

forms([]) -> [];
forms(Tokens) ->
    {Form, [Dot | Rest]} = lists:splitwith(fun(Token) -> element(1, Token) =/= dot end, Tokens),
    {ok, Parsed} = erl_parse:parse_form(Form ++ [Dot]),
    [Parsed | forms(Rest)].

%% In the peer: keeps what it is sent.
collect(Kept) ->
    receive
        {told, From} -> From ! {self(), lists:reverse(Kept)}, collect(Kept);
        Event -> collect([Event | Kept])
    end.

collector(Peer) ->
    Pid = peer:call(Peer, erlang, spawn, [?MODULE, collect, [[]]]),
    true = peer:call(Peer, erlang, register, [collector, Pid]).

told(Peer) -> peer:call(Peer, ?MODULE, told, []).

told() ->
    Collector = whereis(collector),
    Collector ! {told, self()},
    receive {Collector, Told} -> Told after 5000 -> timeout end.

telemetry_is_told(Config) ->
    Engine = engine(),
    Peer = peer(Config, watched_not(Engine)),
    collector(Peer),
    telemetry(Peer, "collector ! {Event, Measurements, Metadata, self() =:= whereis(net_kernel)}"),
    {ok, _} = resolve(Peer, <<"web@web">>),
    {error, _} = resolve(Peer, <<"a@nothing">>),
    testbed:eventually(fun() -> length(told(Peer)) =:= 2 end, 5000),
    By = fun(Node) -> [Event || {_, _, #{node := Its}, _} = Event <- told(Peer), Its =:= Node] end,
    ?assertMatch([{[epmd_docker, lookup], #{duration := D}, #{result := ok, source := _}, false}] when D > 0,
        By(<<"web@web">>)),
    ?assertMatch([{[epmd_docker, lookup], #{duration := _}, #{result := error, reason := no_such_container}, false}],
        By(<<"a@nothing">>)),
    Asked = length(told(Peer)),
    %% As stock select/1 does, inside net_kernel.
    _ = peer:call(Peer, sys, replace_state, [net_kernel, fun ?MODULE:select_inside/1]),
    {ok, _} = resolve(Peer, <<"web@web">>),
    testbed:eventually(fun() -> length(told(Peer)) > Asked end, 5000),
    ?assertEqual(Asked + 1, length(told(Peer))),
    testbed:stop(Peer).

telemetry_is_told_of_daemons(Config) ->
    {Daemon, Port} = listen(0),
    Peer = peer(Config, [{"DOCKER_HOST", "tcp://127.0.0.1:" ++ integer_to_list(Port)} | unwatched()]),
    collector(Peer),
    telemetry(Peer, "collector ! {Event, Measurements, Metadata}"),
    {error, {status, 404, _}} = resolve(Peer, <<"a@b">>),
    exit(Daemon, kill),
    Events = fun() -> [Event || {[_, daemon, _], _, _} = Event <- told(Peer)] end,
    testbed:eventually(fun() -> _ = resolve(Peer, <<"a@b">>), length(Events()) =:= 1 end, 5000),
    ?assertMatch([{[epmd_docker, daemon, down], #{count := 1}, #{daemon := _, reason := {connect, _, _}}}], Events()),
    {Again, Port} = listen(Port),
    testbed:eventually(fun() -> _ = resolve(Peer, <<"a@b">>), length(Events()) =:= 2 end, 5000),
    ?assertMatch([_, {[epmd_docker, daemon, up], #{count := 1}, #{daemon := _}}], Events()),
    exit(Again, kill),
    testbed:stop(Peer).

select_inside(State) ->
    {ok, _} = epmd_docker:address_please("web", "web", inet),
    State.

telemetry_is_not_needed(Config) ->
    Peer = peer(Config, watched_not(engine())),
    {ok, _} = resolve(Peer, <<"web@web">>),
    ?assertEqual(false, peer:call(Peer, code, is_loaded, [telemetry])),
    testbed:stop(Peer).

a_handler_that_hangs_or_fails_holds_up_nobody(Config) ->
    Peer = peer(Config, watched_not(engine())),
    telemetry(Peer, "receive after 60000 -> {Event, Measurements, Metadata} end"),
    {Took, {ok, _}} = testbed:elapsed(fun() -> resolve(Peer, <<"web@web">>) end),
    ?assert(Took < 5000),
    telemetry(Peer, "exit({Event, Measurements, Metadata})"),
    {ok, _} = resolve(Peer, <<"web@web">>),
    ?assert(peer:call(Peer, erlang, is_alive, [])),
    testbed:stop(Peer).

%% ---------------------------------------------------------------------------------------------

%% A proxy in front of nothing, so that it can go and come at the same port.
listen(Port) ->
    Self = self(),
    Pid = spawn(fun() ->
        {ok, Listen} = gen_tcp:listen(Port, [binary, {active, false}, {packet, http_bin}, {reuseaddr, true}, {ip, {127, 0, 0, 1}}]),
        {ok, Actual} = inet:port(Listen),
        Self ! {self(), Actual},
        serve(Listen)
    end),
    receive {Pid, Actual} -> {Pid, Actual} end.

serve(Listen) ->
    {ok, Socket} = gen_tcp:accept(Listen),
    _ = request(Socket),
    ok = inet:setopts(Socket, [{packet, raw}]),
    _ = gen_tcp:send(Socket, "HTTP/1.1 404 X\r\nApi-Version: 1.41\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"),
    _ = gen_tcp:close(Socket),
    serve(Listen).

request(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, http_eoh} -> ok;
        {ok, _} -> request(Socket);
        {error, _} -> closed
    end.

lines(Config, Text) ->
    {ok, Log} = file:read_file(?config(log, Config)),
    [Line || Line <- string:split(Log, "\n", all), string:find(Line, Text) =/= nomatch].

a_daemon_that_goes_and_comes_is_logged(Config) ->
    {Daemon, Port} = listen(0),
    Peer = peer(Config, [{"DOCKER_HOST", "tcp://127.0.0.1:" ++ integer_to_list(Port)} | unwatched()]),
    {error, {status, 404, _}} = resolve(Peer, <<"a@b">>),
    exit(Daemon, kill),
    testbed:eventually(fun() -> element(1, element(2, resolve(Peer, <<"a@b">>))) =:= connect end, 5000),
    testbed:eventually(fun() -> length(lines(Config, "cannot be reached any more")) =:= 1 end, 5000),
    {Again, Port} = listen(Port),
    {error, {status, 404, _}} = resolve(Peer, <<"a@b">>),
    testbed:eventually(fun() -> length(lines(Config, "is back")) =:= 1 end, 20_000),
    exit(Again, kill),
    testbed:stop(Peer).

%% Twenty times within a second or two.
a_daemon_that_comes_and_goes_all_the_time_is_logged_now_and_then(Config) ->
    {Daemon, Port} = listen(0),
    Peer = peer(Config, [{"DOCKER_HOST", "tcp://127.0.0.1:" ++ integer_to_list(Port)} | unwatched()]),
    {error, {status, 404, _}} = resolve(Peer, <<"a@b">>),
    Last = lists:foldl(fun(_, Pid) ->
        exit(Pid, kill),
        testbed:eventually(fun() -> element(1, element(2, resolve(Peer, <<"a@b">>))) =:= connect end, 5000),
        {Next, Port} = listen(Port),
        {error, {status, 404, _}} = resolve(Peer, <<"a@b">>),
        Next
    end, Daemon, lists:seq(1, 20)),
    testbed:eventually(fun() -> length(lines(Config, "it has come and gone")) >= 1 end, 20_000),
    ?assert(length(lines(Config, "cannot be reached any more")) + length(lines(Config, "is back")) =< 3),
    exit(Last, kill),
    testbed:stop(Peer).

the_process_that_logs_may_die(Config) ->
    Peer = peer(Config, watched_not(engine())),
    Old = peer:call(Peer, erlang, whereis, [epmd_docker_notes]),
    ?assert(is_pid(Old)),
    ?assertEqual({links, []}, peer:call(Peer, erlang, process_info, [Old, links])),
    true = peer:call(Peer, erlang, exit, [Old, kill]),
    {ok, _} = resolve(Peer, <<"web@web">>),
    testbed:eventually(fun() -> is_pid(peer:call(Peer, erlang, whereis, [epmd_docker_notes])) end, 5000),
    testbed:stop(Peer).
