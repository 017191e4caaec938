%% Behind a proxy that only reads (examples/read_only_proxy, and the small one of the demo), before the
%% machine's own engine: the library works through it, what it does not ask for is refused, and with
%% each path forbidden in turn it degrades as docs/security.md says.
-module(proxy_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 2}}].

all() -> [{group, tcp}, {group, unix}, {group, demo}, {group, paths}].

groups() ->
    Works = [our_module_is_in_use, names_lead_to_containers, events_come_through, what_is_not_asked_for_is_refused],
    [
        {tcp, [], Works},
        {unix, [], Works},
        {demo, [], Works},
        {paths, [], [
            nothing_but_the_path_reaches_the_engine,
            without_ping,
            without_list,
            without_inspect,
            without_events,
            without_version_and_networks
        ]}
    ].

init_per_suite(Config) ->
    case {testbed:engine(), os:find_executable("haproxy")} of
        {ok, false} ->
            no_haproxy(os:getenv("REQUIRE_DOCKER"));
        {ok, _} ->
            _ = testbed:image(),
            Config;
        {Skip, _} ->
            Skip
    end.

no_haproxy("1") -> error("REQUIRE_DOCKER=1, and there is no haproxy (scripts/setup test)");
no_haproxy(_) ->
    io:format(user, "~n*** SKIPPED: no haproxy (scripts/setup test) ***~n", []),
    {skip, "no haproxy"}.

end_per_suite(_) -> testbed:remove_all(main).

init_per_group(tcp, Config) ->
    Port = testbed:free_port(),
    Text = integer_to_list(Port),
    [{at, {{127, 0, 0, 1}, Port}}, {host, "tcp://127.0.0.1:" ++ Text}, {proxy, haproxy("127.0.0.1:" ++ Text, [], [])} | Config];
init_per_group(unix, Config) ->
    %% Short: a socket's path has 103 bytes at most.
    Path = "/tmp/epmd_docker_proxy." ++ os:getpid(),
    [{at, {{local, Path}, 0}}, {host, "unix://" ++ Path}, {proxy, haproxy("unix@" ++ Path, [], [])} | Config];
init_per_group(demo, Config) ->
    Port = testbed:free_port(),
    Script = filename:join([testbed:root(), "examples", "demo", "read_only_proxy.escript"]),
    Proxy = start("escript", [Script, "/var/run/docker.sock", integer_to_list(Port)], []),
    [{at, {{127, 0, 0, 1}, Port}}, {host, "tcp://127.0.0.1:" ++ integer_to_list(Port)}, {proxy, Proxy} | Config];
init_per_group(paths, Config) ->
    Config.

end_per_group(paths, _) -> ok;
end_per_group(_, Config) ->
    ok = kill(?config(proxy, Config)),
    case ?config(at, Config) of
        {{local, Path}, 0} -> file:delete(Path);
        _ -> ok
    end.

init_per_testcase(_, Config) ->
    case ?config(at, Config) of
        undefined -> ok;
        At -> testbed:eventually(fun() -> listens(At) end, 10_000, At)
    end,
    Config.

end_per_testcase(_, _) -> testbed:remove_all(main).

%% ---------------------------------------------------------------------------------------------
%% Proxies
%% ---------------------------------------------------------------------------------------------

config() -> filename:join([testbed:root(), "examples", "read_only_proxy", "haproxy.cfg"]).

haproxy(Listen, Engine, File) ->
    start("haproxy", ["-db", "-f", case File of [] -> config(); _ -> File end], [{"LISTEN", Listen} | Engine]).

%% Its process id. It ends with this VM, also when that is killed.
start(Program, Args, Env) ->
    Port = open_port({spawn_executable, os:find_executable("setpriv")}, [
        {args, ["--pdeathsig", "KILL", os:find_executable(Program) | Args]}, {env, Env}, hide, stderr_to_stdout]),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    Pid.

kill(Pid) ->
    _ = os:cmd("kill -KILL " ++ integer_to_list(Pid)),
    testbed:eventually(fun() -> not filelib:is_dir("/proc/" ++ integer_to_list(Pid)) end, 5000).

listens({Address, Port}) ->
    case gen_tcp:connect(Address, Port, []) of
        {ok, Socket} -> gen_tcp:close(Socket) =:= ok;
        {error, _} -> false
    end.

%% Runs Fun with the DOCKER_HOST of a proxy that forbids the paths whose line in the example ends so.
forbidding(Endings, Config, Fun) ->
    {ok, Text} = file:read_file(config()),
    Lines = string:split(Text, "\n", all),
    Allowed = [Line || Line <- Lines, not lists:any(fun(Ending) -> is_suffix(Ending, Line) end, Endings)],
    ?assertEqual(length(Endings), length(Lines) - length(Allowed)),
    File = filename:join(?config(priv_dir, Config), "forbids.cfg"),
    ok = file:write_file(File, lists:join("\n", Allowed)),
    Port = testbed:free_port(),
    Host = "127.0.0.1:" ++ integer_to_list(Port),
    Proxy = haproxy(Host, [], File),
    try
        testbed:eventually(fun() -> listens({{127, 0, 0, 1}, Port}) end, 10_000),
        Fun("tcp://" ++ Host)
    after
        kill(Proxy)
    end.

is_suffix(Suffix, Line) -> lists:suffix(Suffix, binary_to_list(Line)).

%% What a proxy answers to these bytes, as far as its status tells.
status({Address, Port}, Bytes) ->
    {ok, Socket} = gen_tcp:connect(Address, Port, [binary, {active, false}]),
    ok = gen_tcp:send(Socket, Bytes),
    Status = case gen_tcp:recv(Socket, 0, 5000) of
        {ok, <<"HTTP/1.", _, " ", Code:3/binary, _/binary>>} -> binary_to_integer(Code);
        Other -> Other
    end,
    ok = gen_tcp:close(Socket),
    Status.

%% ---------------------------------------------------------------------------------------------
%% Nodes and containers
%% ---------------------------------------------------------------------------------------------

%% A node that knows the engine through the proxy only.
shell(Host) -> shell(Host, []).

shell(Host, Flags) ->
    testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "secret",
        "-sname", unique("shell") | Flags], env => [{"DOCKER_HOST", Host}]}).

unique(Name) -> Name ++ integer_to_list(erlang:unique_integer([positive])).

%% Nothing listens in there: what is looked at is where it would.
container(Flags) ->
    testbed:run(main, ["-l", "epmd-docker.port=9171" | Flags], ["sleep", "1000"]).

short(Id) -> lists:sublist(Id, 12).

call(Peer, Function, Args) -> peer:call(Peer, epmd_docker, Function, Args, 20_000).

resolve(Peer, Host) -> call(Peer, resolve, ["app@" ++ Host]).

daemon(Peer) ->
    #{daemons := [Daemon]} = call(Peer, info, []),
    Daemon.

requests(Peer) -> maps:get(requests, daemon(Peer)).

is_at(Id, {ok, #{address := Address, port := 9171, container := #{id := Found}}}) ->
    ?assertEqual(Id, binary_to_list(Found)),
    ?assertEqual(testbed:docker(main, ["inspect", "-f", "{{.NetworkSettings.IPAddress}}", Id]), inet:ntoa(Address));
is_at(Id, Other) ->
    ct:fail({Id, Other}).

follows(Peer) ->
    testbed:eventually(fun() -> maps:get(watch, daemon(Peer)) =:= following end, 10_000, {watch, daemon(Peer)}).

%% ---------------------------------------------------------------------------------------------
%% Through the proxy
%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    Peer = shell(?config(host, Config)),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded, daemons := [#{daemon := _}]}, call(Peer, info, [])),
    ?assertEqual(list_to_binary(?config(host, Config)), maps:get(daemon, daemon(Peer))),
    testbed:stop(Peer).

names_lead_to_containers(Config) ->
    Name = unique("edt_proxied"),
    Id = container(["--name", Name, "--hostname", Name ++ "-host"]),
    Node = testbed:run(main, [], ["erl", "-noinput", "-setcookie", "secret", "-sname", "app"]),
    Peer = shell(?config(host, Config)),
    [is_at(Id, resolve(Peer, Host)) || Host <- [short(Id), Id, Name, Name ++ "-host"]],
    ?assertEqual({error, no_such_container}, resolve(Peer, "feedfacefeed")),
    Connect = fun() -> peer:call(Peer, net_kernel, connect_node, [list_to_atom("app@" ++ short(Node))], 20_000) end,
    testbed:eventually(Connect, 20_000),
    testbed:stop(Peer).

%% Each event as it comes: the index knows at once, and answers without a request.
events_come_through(Config) ->
    Id = container([]),
    Peer = shell(?config(host, Config)),
    is_at(Id, resolve(Peer, short(Id))),
    follows(Peer),
    %% Other containers on this engine come and go, and are listed.
    testbed:eventually(fun() ->
        Before = requests(Peer),
        [is_at(Id, resolve(Peer, short(Id))) || _ <- lists:seq(1, 20)],
        requests(Peer) =:= Before
    end, 5000, no_answer_from_memory),
    testbed:docker(main, ["kill", Id]),
    {Ms, ok} = testbed:elapsed(fun() ->
        testbed:eventually(fun() -> peer:call(Peer, epmd_docker_nif, address, [list_to_binary(["app@", short(Id)]), inet]) =:= in_container end,
            5000, not_told)
    end),
    ct:pal("told after ~b ms", [round(Ms)]),
    ?assert(Ms < 1000, Ms),
    ?assertMatch({error, {not_running, exited}}, resolve(Peer, short(Id))),
    testbed:stop(Peer).

%% What would change something, or tell more than the library asks for, in plain and in other spellings.
what_is_not_asked_for_is_refused(Config) ->
    Id = container([]),
    At = ?config(at, Config),
    Line = fun(Method, Path) -> [Method, " ", Path, " HTTP/1.1\r\nHost: docker\r\n\r\n"] end,
    [?assertEqual({Path, 200}, {Path, status(At, Line("GET", Path))})
     || Path <- ["/_ping", "/v1.41/containers/json?all=1", "/v1.41/containers/" ++ Id ++ "/json"]],
    [?assertEqual({Request, refused}, {Request, refused(status(At, Request))}) || Request <-
        [Line("GET", Path) || Path <- forbidden(Id)] ++
        [Line(Method, ["/v1.41/containers/", Id, What]) || Method <- ["POST", "PUT", "DELETE", "HEAD", "PATCH", "get"],
            What <- ["/json", "/kill", "/stop", "/exec", "/archive?path=/", ""]] ++
        [Line(Method, Path) || Method <- ["POST", "DELETE", "CONNECT", "OPTIONS"], Path <- ["/_ping", "/containers/json", "/events"]]],
    ?assertEqual("true", testbed:docker(main, ["inspect", "-f", "{{.State.Running}}", Id])).

refused(Status) when Status >= 400, Status < 500 -> refused;
%% Not HTTP for this proxy: it hangs up.
refused({error, closed}) -> refused;
refused(Other) -> Other.

forbidden(Id) ->
    ["/v1.41/containers/" ++ Id ++ What || What <- ["/logs?stdout=1", "/top", "/stats?stream=0", "/changes", "/export",
        "/archive?path=/etc", "/attach/ws", "/json/../logs?stdout=1", "/..%2f" ++ Id ++ "/top", "%2ftop", "//top", "/top?x=/json",
        "/top#/json", "/top;/json", "/top%3f/json"]] ++
    ["/info", "/images/json", "/v1.41/images/json", "/volumes", "/secrets", "/swarm", "/nodes", "/system/df", "/exec/" ++ Id ++ "/json",
        "/networks/bridge", "/containers/json/../../images/json", "/containers/../images/json", "/%69mages/json", "//images/json",
        "/./images/json", "/_ping/../images/json", "/v1.41/../images/json", "/containers/../json", "/v1.41/_ping/../info", "/", "*",
        "/grpc", "/session"].

%% ---------------------------------------------------------------------------------------------
%% Each path in turn
%% ---------------------------------------------------------------------------------------------

%% A scripted engine behind the example: no header or body of a client's gets there, and of what is
%% refused not a byte.
nothing_but_the_path_reaches_the_engine(_) ->
    Engine = fake_engine:start(fun(_) -> {200, "[]"} end, none),
    Port = testbed:free_port(),
    At = {{127, 0, 0, 1}, Port},
    Proxy = haproxy("127.0.0.1:" ++ integer_to_list(Port), [{"ENGINE", "127.0.0.1:" ++ integer_to_list(fake_engine:port(Engine))}], []),
    testbed:eventually(fun() -> listens(At) end, 10_000),
    Odd = "Host: evil\r\nX-Registry-Auth: a\r\nCookie: b\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    Paths = ["/_ping", "/v1.41/containers/json?all=1", "/v1.51/containers/a.b_c-d/json", "/events?since=1", "/version", "/v1.41/networks"],
    [?assertEqual(200, status(At, ["GET ", Path, " HTTP/1.1\r\n", Odd, "\r\n"])) || Path <- Paths],
    [?assertEqual(403, status(At, ["GET /_ping HTTP/1.1\r\nHost: a\r\n", Body])) || Body <-
        ["Content-Length: 5\r\n\r\nabcde", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Content-Length: 0\r\n\r\n"]],
    [?assertEqual(refused, refused(status(At, ["GET ", Path, " HTTP/1.1\r\nHost: a\r\n\r\n"]))) || Path <- forbidden("abcdefabcdef")],
    ?assertEqual([{'GET', Path, [{'Host', <<"docker">>}]} || Path <- Paths], fake_engine:heads(Engine)),
    kill(Proxy).

%% Paths without a version: the engine's own, newest one.
without_ping(Config) ->
    Name = unique("edt_ping"),
    Id = container(["--name", Name, "--hostname", Name ++ "-host"]),
    forbidding(["/_ping$"], Config, fun(Host) ->
        Peer = shell(Host),
        [is_at(Id, resolve(Peer, One)) || One <- [short(Id), Name, Name ++ "-host"]],
        follows(Peer),
        ?assertMatch(#{state := up}, daemon(Peer)),
        testbed:stop(Peer)
    end).

%% An id and a container's own name need no list; a hostname or alias, and answers from memory, do.
without_list(Config) ->
    Name = unique("edt_list"),
    Id = container(["--name", Name, "--hostname", Name ++ "-host"]),
    forbidding(["/containers/json$"], Config, fun(Host) ->
        Peer = shell(Host, ["-kernel", "logger", testbed:log_of(log(Config, "list.log"))]),
        [is_at(Id, resolve(Peer, One)) || One <- [short(Id), Id, Name]],
        ?assertMatch({error, {status, 403, <<"this proxy only reads">>}}, resolve(Peer, Name ++ "-host")),
        is_asked_each_time(Peer, Id),
        is_said_once(Config, "list.log"),
        testbed:stop(Peer)
    end).

%% Nothing can be known of a container.
without_inspect(Config) ->
    Id = container([]),
    forbidding(["]*/json$"], Config, fun(Host) ->
        Peer = shell(Host),
        ?assertMatch({error, {status, 403, <<"this proxy only reads">>}}, resolve(Peer, short(Id))),
        ?assertMatch({error, {status, 403, _}}, resolve(Peer, "nobody")),
        %% What is not Docker's is not held up.
        ?assertMatch({ok, #{source := table}}, begin
            ok = call(Peer, add_node, ["app@here", {127, 0, 0, 1}, 4711]),
            call(Peer, resolve, ["app@here"])
        end),
        testbed:stop(Peer)
    end).

%% Asked each time, and said once.
without_events(Config) ->
    Name = unique("edt_events"),
    Id = container(["--name", Name, "--hostname", Name ++ "-host"]),
    forbidding(["/events$"], Config, fun(Host) ->
        Peer = shell(Host, ["-kernel", "logger", testbed:log_of(log(Config, "events.log"))]),
        [is_at(Id, resolve(Peer, One)) || One <- [short(Id), Name, Name ++ "-host"]],
        is_asked_each_time(Peer, Id),
        testbed:docker(main, ["kill", Id]),
        ?assertMatch({error, {not_running, exited}}, resolve(Peer, short(Id))),
        is_said_once(Config, "events.log"),
        testbed:stop(Peer)
    end).

%% Nothing asks for these.
without_version_and_networks(Config) ->
    Name = unique("edt_rest"),
    Id = container(["--name", Name, "--hostname", Name ++ "-host"]),
    forbidding(["/version$", "/networks$"], Config, fun(Host) ->
        Peer = shell(Host),
        [is_at(Id, resolve(Peer, One)) || One <- [short(Id), Name, Name ++ "-host"]],
        follows(Peer),
        testbed:stop(Peer)
    end).

log(Config, Name) -> filename:join(?config(priv_dir, Config), Name).

is_asked_each_time(Peer, Id) ->
    testbed:eventually(fun() -> element(1, {_, _} = maps:get(watch, daemon(Peer))) =:= forbidden end, 10_000, {watch, daemon(Peer)}),
    Before = requests(Peer),
    [is_at(Id, resolve(Peer, short(Id))) || _ <- lists:seq(1, 5)],
    ?assertEqual(Before + 5, requests(Peer)).

%% A look-up brings the notice along; further ones do not.
is_said_once(Config, Name) ->
    Said = fun() ->
        {ok, Text} = file:read_file(log(Config, Name)),
        length(binary:matches(Text, <<"cannot be had (the Docker daemon answered 403: this proxy only reads), so it is asked at each lookup">>))
    end,
    testbed:eventually(fun() -> Said() > 0 end, 5000, {nothing_said, Name}),
    ?assertEqual(1, Said()).
