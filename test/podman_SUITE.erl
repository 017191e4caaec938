%% A real Podman (4.3) instead of a Docker engine: from its host into its containers, and from another host.
%%
%% It runs in the place of a lab's dockerd, in a root file system of its own (test/support/podman).
-module(podman_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

%% Podman's root is made within init_per_suite where scripts/test has not done so.
suite() -> [{timetrap, {minutes, 4}}].

all() ->
    [
        our_module_and_podman_are_in_use,
        found_without_a_setting,
        by_id_name_hostname_and_label,
        the_published_port_from_another_host,
        two_nodes_find_each_other,
        restarted,
        stopped_paused_and_unknown,
        its_events_are_followed,
        idle_connections_that_it_closes
    ].

init_per_suite(Config) ->
    case testbed:engine() of
        ok -> with_podman(testbed:sh([support("podman")]), Config);
        Skip -> Skip
    end.

with_podman({ok, Output}, Config) ->
    _ = testbed:image(),
    Root = lists:last(string:lexemes(Output, "\n")),
    case testbed:lab_up(["--hosts", "1", "--engine", Root]) of
        ok ->
            Nodes = [{shell, shell([])}, {control, control()}],
            [true = unlink(Peer) || {_, Peer} <- Nodes],
            Nodes ++ Config;
        Skip ->
            Skip
    end;
with_podman({error, {2, Why}}, _Config) ->
    testbed:missing("~ts", [Why]).

end_per_suite(Config) ->
    [testbed:stop(?config(Node, Config)) || Node <- [shell, control]],
    testbed:lab_down().

end_per_testcase(_, _) ->
    testbed:remove_all(1).

support(Script) -> filename:join([testbed:root(), "test", "support", Script]).

%% A node on Podman's host, as one for a remote shell.
shell(Flags) ->
    testbed:peer(#{
        exec => {support("lab"), ["on", "1", "erl"]},
        args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-sname", unique("shell"),
            "-setcookie", "secret" | Flags]
    }).

%% A node on another machine.
control() ->
    testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-proto_dist", "eid_tcp",
        "-name", unique("control") ++ "@10.99.0.254", "-hidden", "-setcookie", "secret",
        "-kernel", "inet_dist_listen_min", "0"]}).

unique(Name) -> Name ++ integer_to_list(erlang:unique_integer([positive])).

%% An ordinary node in a container: its name there.
app(Flags) ->
    Id = testbed:run(1, Flags, ["erl", "-noinput", "-setcookie", "secret", "-sname", "app"]),
    {Id, "app@" ++ short(Id)}.

%% One with our library, that others are to find.
published_app() ->
    Command = "exec erl -noinput -start_epmd false -epmd_module epmd_docker -proto_dist eid_tcp "
        "-name $(hostname)@10.99.0.1 -setcookie secret",
    Id = testbed:run(1, ["-p", "12345", "-e", "ERL_LIBS=/opt"], ["sh", "-c", Command]),
    {Id, short(Id) ++ "@10.99.0.1"}.

short(Id) -> lists:sublist(Id, 12).

resolve(Config, Who, Node) ->
    peer:call(?config(Who, Config), epmd_docker, resolve, [list_to_atom(Node)], 10_000).

connects(Config, Who, Node) ->
    testbed:eventually(
        fun() -> peer:call(?config(Who, Config), net_kernel, connect_node, [list_to_atom(Node)], 10_000) end,
        20_000, {Node, resolve(Config, Who, Node)}).

daemon(Peer, Endpoint) ->
    #{daemons := Daemons} = peer:call(Peer, epmd_docker, info, []),
    [Daemon] = [One || #{daemon := Text} = One <- Daemons, Text =:= list_to_binary(Endpoint)],
    Daemon.

-define(SOCKET, "unix:///var/run/docker.sock").
-define(TCP, "tcp://10.99.0.1:4243").

%% As `docker port' prints it.
published(Id) ->
    [Line | _] = string:lexemes(testbed:docker(1, ["port", Id, "12345/tcp"]), "\n"),
    list_to_integer(lists:last(string:lexemes(Line, ":"))).

%% ---------------------------------------------------------------------------------------------

our_module_and_podman_are_in_use(Config) ->
    [begin
        ?assertEqual(epmd_docker, peer:call(?config(Who, Config), net_kernel, epmd_module, [])),
        ?assertMatch(#{library := loaded}, peer:call(?config(Who, Config), epmd_docker, info, []))
    end || Who <- [shell, control]],
    ?assertMatch("Podman Engine" ++ _, testbed:docker(1, ["version", "-f", "{{(index .Server.Components 0).Name}}"])).

%% No DOCKER_HOST, no Docker: Podman's own socket is what there is.
found_without_a_setting(_Config) ->
    {_, Node} = app([]),
    Script = "mount --bind $0 /mnt && mount -t tmpfs none /run && mkdir /run/podman && "
        "mount --bind /mnt/podman /run/podman && exec erl \"$@\"",
    Peer = testbed:peer(#{
        exec => {support("lab"), ["exec", "1", "unshare", "--mount", "sh", "-c", Script,
            filename:join([testbed:lab_dir(), "d1", "run"])]},
        args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-sname", unique("shell"),
            "-setcookie", "secret"]
    }),
    Config = [{shell, Peer}],
    connects(Config, shell, Node),
    ?assertMatch(#{source := podman, state := up}, daemon(Peer, "unix:///run/podman/podman.sock")),
    testbed:stop(Peer).

by_id_name_hostname_and_label(Config) ->
    {Id, Node} = app(["--name", "edt_podman", "--hostname", "edt-host", "-l", "com.docker.compose.service=web"]),
    Expected = list_to_binary(Id),
    [?assertMatch({ok, #{address := {10, 88, _, _}, source := container, container := #{id := Expected}}},
        eventually_found(Config, "app@" ++ Ref))
     || Ref <- [short(Id), Id, "edt_podman", "edt-host", "web"]],
    %% It calls itself by its hostname.
    ?assertNotEqual(Node, "app@edt-host"),
    connects(Config, shell, "app@edt-host"),
    ?assertEqual({ok, "edt-host"},
        peer:call(?config(shell, Config), rpc, call, ['app@edt-host', inet, gethostname, []])).

%% Until the node is registered with the epmd of its container.
eventually_found(Config, Node) ->
    testbed:eventually(fun() -> is_tuple(resolve(Config, shell, Node)) andalso
        element(1, resolve(Config, shell, Node)) =:= ok end, 10_000, Node),
    resolve(Config, shell, Node).

%% Podman says HostIp "" where Docker says 0.0.0.0.
the_published_port_from_another_host(Config) ->
    {Id, Node} = published_app(),
    connects(Config, control, Node),
    Port = published(Id),
    ?assertMatch({ok, #{address := {10, 99, 0, 1}, port := Port, source := published}},
        resolve(Config, control, Node)),
    ?assertEqual({ok, [{short(Id), Port}]}, peer:call(?config(control, Config), epmd_docker, names, ["10.99.0.1"])).

two_nodes_find_each_other(Config) ->
    [{_, A}, {_, B}] = [published_app(), published_app()],
    [connects(Config, control, Node) || Node <- [A, B]],
    Rpc = fun(Node, M, F, Args) ->
        peer:call(?config(control, Config), rpc, call, [list_to_atom(Node), M, F, Args, 10_000], 15_000)
    end,
    ?assertEqual(pong, Rpc(A, net_adm, ping, [list_to_atom(B)])),
    ?assertEqual([list_to_atom(A)], Rpc(B, erlang, nodes, [])).

restarted(Config) ->
    {Id, Node} = published_app(),
    connects(Config, control, Node),
    testbed:docker(1, ["restart", "-t", "0", Id]),
    connects(Config, control, Node),
    {Inside, App} = app([]),
    connects(Config, shell, App),
    testbed:docker(1, ["restart", "-t", "0", Inside]),
    connects(Config, shell, App).

%% A container that has stopped still lists its ports.
stopped_paused_and_unknown(Config) ->
    Id = testbed:run(1, ["-p", "12345"], ["sleep", "1000"]),
    Node = short(Id) ++ "@10.99.0.1",
    ?assertMatch({ok, #{source := published}}, resolve(Config, control, Node)),
    testbed:docker(1, ["pause", Id]),
    testbed:eventually(fun() -> resolve(Config, control, Node) =:= {error, {not_running, paused}} end, 5000),
    testbed:docker(1, ["unpause", Id]),
    testbed:docker(1, ["kill", Id]),
    testbed:eventually(fun() -> resolve(Config, control, Node) =:= {error, {not_running, exited}} end, 5000),
    ?assertEqual({error, no_such_container}, resolve(Config, control, "0123456789ab@10.99.0.1")),
    ?assertEqual({error, no_such_container}, resolve(Config, shell, "app@no_such_container")).

%% What is known needs no request; what has changed is known without one for it.
its_events_are_followed(Config) ->
    Shell = ?config(shell, Config),
    {Id, _} = app(["--name", "edt_first", "-l", "epmd-docker.port=9100"]),
    _ = resolve(Config, shell, "app@edt_first"),
    testbed:eventually(fun() -> maps:get(watch, daemon(Shell, ?SOCKET)) =:= following end, 10_000),
    ?assertMatch({ok, #{port := 9100}}, resolve(Config, shell, "app@edt_first")),
    testbed:eventually(fun() -> requests_of_50(Config, "app@edt_first") =:= 0 end, 10_000),
    testbed:docker(1, ["rename", "edt_first", "edt_second"]),
    testbed:eventually(fun() -> resolve(Config, shell, "app@edt_first") =:= {error, no_such_container} end, 5000),
    ?assertMatch({ok, #{container := #{name := <<"edt_second">>}}}, resolve(Config, shell, "app@edt_second")),
    testbed:docker(1, ["rm", "-f", Id]),
    testbed:eventually(fun() -> resolve(Config, shell, "app@edt_second") =:= {error, no_such_container} end, 5000),
    _ = app(["--name", "edt_second", "-l", "epmd-docker.port=9200"]),
    testbed:eventually(
        fun() -> element(1, resolve(Config, shell, "app@edt_second")) =:= ok end, 5000),
    ?assertMatch({ok, #{port := 9200}}, resolve(Config, shell, "app@edt_second")).

%% What is asked meanwhile may also be the watch's own.
requests_of_50(Config, Node) ->
    #{requests := Before} = daemon(?config(shell, Config), ?SOCKET),
    [?assertMatch({ok, _}, resolve(Config, shell, Node)) || _ <- lists:seq(1, 50)],
    #{requests := After} = daemon(?config(shell, Config), ?SOCKET),
    After - Before.

%% Where systemd starts it, Podman ends when it has been idle for some seconds, and its connections with
%% it. One of the test's own, which is asked later than the library's, tells when that has happened to both.
idle_connections_that_it_closes(_Config) ->
    Id = testbed:run(1, ["-l", "epmd-docker.port=9100"], ["sleep", "1000"]),
    Endpoint = "tcp://10.99.0.1:4244",
    Peer = shell(["-epmd_docker", "watch", "false", "docker_host", "\"" ++ Endpoint ++ "\""]),
    Config = [{shell, Peer}],
    Node = "app@" ++ short(Id),
    ?assertMatch({ok, #{source := container}}, resolve(Config, shell, Node)),
    {ok, Socket} = gen_tcp:connect({10, 99, 0, 1}, 4244, [binary, {active, true}]),
    ok = gen_tcp:send(Socket, "GET /_ping HTTP/1.1\r\nHost: podman\r\n\r\n"),
    receive {tcp, Socket, <<"HTTP/1.1 200", _/binary>>} -> ok after 5000 -> ct:fail(no_answer) end,
    receive {tcp_closed, Socket} -> ok after 30_000 -> ct:fail(never_closed) end,
    testbed:eventually(fun() -> listens(4244) end, 10_000),
    ?assertMatch({ok, #{source := container}}, resolve(Config, shell, Node)),
    ?assertMatch(#{state := up, reconnects := 1}, daemon(Peer, Endpoint)),
    testbed:stop(Peer).

listens(Port) ->
    case gen_tcp:connect({10, 99, 0, 1}, Port, []) of
        {ok, Socket} -> gen_tcp:close(Socket) =:= ok;
        {error, _} -> false
    end.
