%% What happens to a daemon: it is not there, goes, comes back, freezes, is exchanged. A real engine
%% of this suite's own (test/support/daemon), whose containers come back with it.
-module(faults_daemon_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-define(NODE, <<"app@edf_always">>).
-define(UNKNOWN, <<"app@edf_nobody">>).
-define(TIMEOUT_MS, 1000).

suite() -> [{timetrap, {minutes, 5}}].

all() ->
    [our_module_is_in_use, absent_at_boot, no_permission, no_socket, socket_file_removed, killed_and_restarted,
        stopped_and_restarted, frozen, many_lookups_during_a_restart, upgraded].

init_per_suite(Config) ->
    case testbed:engine() of
        ok ->
            ok = fault:new_table(?MODULE),
            %% A socket's path is short.
            Dir = "/tmp/epmd_docker-d" ++ os:getpid(),
            true = os:putenv("OWNER", os:getpid()),
            with_daemon(Dir, Config);
        Skip ->
            Skip
    end.

with_daemon(Dir, Config) ->
    case daemon("start", Dir) of
        {ok, _} ->
            Started = [{dir, Dir} | Config],
            _ = answers(Started),
            Image = testbed:image(),
            {ok, _} = testbed:sh(["sh", "-c", "docker save " ++ Image ++ " | docker -H unix://" ++ Dir ++ "/docker.sock load"]),
            {ok, _} = docker(Started, ["run", "-d", "--init", "--restart", "always", "--network", "host", "--name",
                "edf_always", "--label", "epmd-docker.port=9171", Image, "sleep", "1000"]),
            Started;
        {error, {2, Why}} ->
            false = os:getenv("REQUIRE_DOCKER") =:= "1",
            io:format(user, "~n*** SKIPPED: ~ts ***~n", [Why]),
            {skip, Why}
    end.

end_per_suite(Config) ->
    {ok, _} = daemon("remove", ?config(dir, Config)),
    true = os:unsetenv("OWNER"),
    fault:write_table().

%% A test that failed in the middle of a fault leaves that to the next one.
init_per_testcase(_, Config) ->
    _ = daemon("thaw", ?config(dir, Config)),
    _ = daemon("start", ?config(dir, Config)),
    _ = answers(Config),
    Config.

daemon(Command, Dir) -> daemon(Command, Dir, []).

daemon(Command, Dir, Args) ->
    testbed:sh([filename:join([testbed:root(), "test", "support", "daemon"]), Command, Dir | Args]).

do(Command, Config) -> {ok, _} = daemon(Command, ?config(dir, Config)).

docker(Config, Args) -> daemon("docker", ?config(dir, Config), Args).

socket(Config) -> filename:join(?config(dir, Config), "docker.sock").

%% Waits until the daemon answers; when it did (ms).
answers(Config) ->
    testbed:eventually(fun() -> pings(socket(Config)) end, 30_000, daemon),
    erlang:monotonic_time(millisecond).

pings(Path) ->
    case gen_tcp:connect({local, Path}, 0, [binary, {active, false}]) of
        {ok, Socket} ->
            _ = gen_tcp:send(Socket, "GET /_ping HTTP/1.0\r\n\r\n"),
            Answer = gen_tcp:recv(Socket, 12, 2000),
            ok = gen_tcp:close(Socket),
            Answer =:= {ok, <<"HTTP/1.0 200">>};
        {error, _} ->
            false
    end.

start(Config) ->
    do("start", Config),
    answers(Config).

boot(Config) -> boot(Config, #{}).

boot(Config, More) ->
    fault:node([{"DOCKER_HOST", "unix://" ++ socket(Config)},
        {"EPMD_DOCKER_TIMEOUT_MS", integer_to_list(?TIMEOUT_MS)}], More).

%% One that knows the container and follows the daemon.
watching(Config) ->
    Peer = boot(Config),
    fault:works(Peer, ?NODE),
    testbed:eventually(fun() ->
        case peer:call(Peer, epmd_docker, info, []) of
            #{daemons := [#{watch := following, known := Known}]} when Known > 0 -> true;
            #{daemons := Daemons} -> Daemons
        end
    end, 10_000),
    Peer.

connect(Posix) -> fun({error, {connect, <<"unix://", _/binary>>, P}}) -> P =:= Posix; (_) -> false end.

%% What was last known, or why no more is known.
last_known({ok, #{stale := true, port := 9171}}) -> true;
last_known({error, {connect, _, Posix}}) -> lists:member(Posix, [enoent, econnrefused, econnreset]);
last_known(_) -> false.

is(Reason) -> fun(Result) -> Result =:= {error, Reason} end.

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    Peer = boot(Config),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])),
    testbed:stop(Peer).

absent_at_boot(Config) ->
    Boot = fun() -> do("stop", Config), boot(Config) end,
    testbed:stop(fault:row(Boot(), #{fault => "no daemon when the node boots", inject => fun() -> ok end,
        mend => fun(_) -> start(Config) end, again => Boot, node => ?NODE, expect => connect(enoent), by => 300})).

%% Root may open everything: the node has lost that privilege.
no_permission(Config) ->
    Socket = socket(Config),
    Exec = {os:find_executable("setpriv"), ["--bounding-set=-dac_override,-dac_read_search",
        "--inh-caps=-dac_override,-dac_read_search", os:find_executable("erl")]},
    Boot = fun() -> ok = file:change_mode(Socket, 8#000), boot(Config, #{exec => Exec}) end,
    testbed:stop(fault:row(Boot(), #{fault => "no permission for the socket", inject => fun() -> ok end,
        mend => fun(_) -> ok = file:change_mode(Socket, 8#660) end, again => Boot,
        node => ?NODE, expect => connect(eacces), by => 300})).

%% Docker itself makes a directory where a file that is to be mounted is not there.
no_socket(Config) ->
    Socket = socket(Config),
    Aside = Socket ++ ".aside",
    Boot = fun() ->
        ok = file:rename(Socket, Aside),
        ok = file:make_dir(Socket),
        boot(Config)
    end,
    testbed:stop(fault:row(Boot(), #{fault => "a directory where the socket should be, when the node boots",
        inject => fun() -> ok end,
        mend => fun(_) -> ok = file:del_dir(Socket), ok = file:rename(Aside, Socket) end, again => Boot,
        node => ?NODE, expect => connect(econnrefused), by => 300})).

%% What is connected stays so; the file is for new connections.
socket_file_removed(Config) ->
    Socket = socket(Config),
    Aside = Socket ++ ".aside",
    Peer = watching(Config),
    _ = fault:resolve(Peer, ?UNKNOWN),
    fault:row(Peer, #{fault => "the socket file is gone, its daemon not; a name that is not known",
        inject => fun() -> ok = file:rename(Socket, Aside) end,
        mend => fun(_) -> ok = file:rename(Aside, Socket) end,
        node => ?UNKNOWN, expect => is(no_such_container), well => is(no_such_container), by => 300}),
    testbed:stop(Peer).

killed_and_restarted(Config) ->
    Peer = watching(Config),
    fault:row(Peer, #{fault => "the daemon is killed and started while it is watched", inject => fun() -> do("kill", Config) end,
        meanwhile => fun(_) -> unknown(Peer, [econnrefused]) end,
        mend => fun(_) -> start(Config) end, node => ?NODE, expect => fun last_known/1, by => 300}),
    testbed:stop(Peer).

%% A shutdown removes the socket.
stopped_and_restarted(Config) ->
    Peer = watching(Config),
    fault:row(Peer, #{fault => "the daemon is stopped and started while it is watched", inject => fun() -> do("stop", Config) end,
        meanwhile => fun(_) -> unknown(Peer, [enoent]) end,
        mend => fun(_) -> start(Config) end, node => ?NODE, expect => fun last_known/1, by => 300}),
    testbed:stop(Peer).

unknown(Peer, Posixes) ->
    {error, {connect, _, Posix}} = fault:resolve(Peer, ?UNKNOWN),
    ?assert(lists:member(Posix, Posixes), Posix).

%% A known name is answered from memory all the while; another one has to wait for its time.
frozen(Config) ->
    Seconds = list_to_integer(os:getenv("FAULTS_FREEZE_S", "5")),
    Peer = watching(Config),
    Known = fun(_) ->
        {Ms, {ok, #{port := 9171}}} = testbed:elapsed(fun() -> fault:resolve(Peer, ?NODE) end),
        ?assert(Ms < 100, Ms),
        timer:sleep(Seconds * 1000)
    end,
    fault:row(Peer, #{fault => "the daemon is frozen for " ++ integer_to_list(Seconds) ++ " s; a name that is not known",
        inject => fun() -> do("freeze", Config) end, mend => fun(_) -> do("thaw", Config) end, meanwhile => Known,
        node => ?UNKNOWN, expect => is(timeout), well => is(no_such_container), by => ?TIMEOUT_MS + 500}),
    testbed:stop(Peer).

%% Each of 256 gets an answer in time, and one that is documented.
many_lookups_during_a_restart(Config) ->
    Peer = watching(Config),
    Names = [<<"app@edf_many", (integer_to_binary(I))/binary>> || I <- lists:seq(1, 255)],
    Ask = fun(_) ->
        Test = self(),
        Lookups = spawn_link(fun() -> Test ! {self(), peer:call(Peer, ?MODULE, all_at_once, [[?NODE | Names]], 60_000)} end),
        Ended = start(Config),
        Answers = receive {Lookups, All} -> All end,
        ct:pal("~p", [lists:foldl(fun({_, A}, Counts) -> maps:update_with(kind(A), fun(N) -> N + 1 end, 1, Counts) end, #{}, Answers)]),
        ?assertEqual(256, length(Answers)),
        ?assertEqual([], [Answer || {_, Answer} <- Answers, not may_be(Answer)]),
        ?assert(lists:max([Ms || {Ms, _} <- Answers]) < ?TIMEOUT_MS + 1000),
        Ended
    end,
    fault:row(Peer, #{fault => "256 lookups while the daemon restarts", inject => fun() -> do("kill", Config) end, mend => Ask,
        node => ?NODE, expect => fun last_known/1, by => 300}),
    testbed:stop(Peer).

kind({ok, #{stale := true}}) -> stale;
kind({ok, _}) -> ok;
kind({error, Reason}) when is_atom(Reason) -> Reason;
kind({error, Reason}) -> {element(1, Reason), element(tuple_size(Reason), Reason)}.

may_be({ok, #{port := 9171}}) -> true;
may_be({error, {connect, _, Posix}}) -> lists:member(Posix, [enoent, econnrefused, econnreset]);
may_be({error, Reason}) -> lists:member(Reason, [no_such_container, timeout, {not_running, created}, {not_running, exited}]).

%% In the node: {milliseconds, answer} of lookups that all begin at once.
all_at_once(Names) ->
    Self = self(),
    Pids = [spawn(fun() ->
        {Micros, Answer} = timer:tc(epmd_docker, resolve, [Name]),
        Self ! {self(), {Micros div 1000, Answer}}
    end) || Name <- Names],
    [receive {Pid, Answer} -> Answer after 30_000 -> {30_000, {error, none}} end || Pid <- Pids].

%% Debian's 28.5 after the machine's own. `make faults' fetches it; else only if it is there.
upgraded(Config) ->
    case newer_engine() of
        {ok, Engine} ->
            Peer = watching(Config),
            Api = api_version(Peer),
            fault:row(Peer, #{fault => "the engine is upgraded from API version " ++ Api ++ " to 1.51",
                inject => fun() -> do("stop", Config) end,
                mend => fun(_) ->
                    {ok, _} = daemon("start", ?config(dir, Config), [Engine]),
                    answers(Config)
                end,
                node => ?NODE, expect => fun last_known/1, by => 300}),
            ?assertEqual("1.51", api_version(Peer)),
            testbed:stop(Peer);
        none ->
            io:format(user, "~n*** SKIPPED: no Docker engine 28.5 here (test/support/engine 28.5 fetches it) ***~n", []),
            {skip, "no Docker engine 28.5 here"}
    end.

newer_engine() ->
    Fetch = os:getenv("FAULTS_FREEZE_S") =/= false,
    Cache = os:getenv("XDG_CACHE_HOME", filename:join(os:getenv("HOME", "/root"), ".cache")),
    case Fetch orelse filelib:is_dir(filename:join([Cache, "epmd_docker", "engine-28.5"])) of
        true ->
            {ok, Output} = testbed:sh([filename:join([testbed:root(), "test", "support", "engine"]), "28.5"]),
            {ok, lists:last(string:lexemes(Output, "\n"))};
        false ->
            none
    end.

api_version(Peer) ->
    #{daemons := [#{api_version := Version} | _]} = peer:call(Peer, epmd_docker, info, []),
    unicode:characters_to_list(Version).
