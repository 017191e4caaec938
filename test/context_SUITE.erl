%% Where the local daemon is when nobody has said so: Docker contexts as docker's own client writes them,
%% sockets of rootless engines and of Podman, and what is refused with a word about what to do instead.
-module(context_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 1}}].

all() ->
    [
        {group, files},
        {group, engine}
    ].

groups() ->
    [
        {files, [parallel], [
            docker_host_goes_before_contexts,
            no_home,
            what_is_refused_says_what_to_do,
            a_missing_context,
            a_broken_context,
            a_broken_config_json
        ]},
        {engine, [], [
            the_context_in_use,
            docker_context_goes_before_the_one_in_use,
            a_context_over_tcp,
            a_context_is_changed,
            rootless_socket,
            podmans_socket
        ]}
    ].

init_per_group(files, Config) ->
    Config;
init_per_group(engine, Config) ->
    case testbed:engine() of
        ok ->
            testbed:remove_all(main),
            _ = testbed:image(),
            Id = testbed:run(main, [], ["erl", "-noinput", "-setcookie", "secret", "-sname", "app"]),
            [{node, "app@" ++ lists:sublist(Id, 12)} | Config];
        Skip ->
            Skip
    end.

end_per_group(files, _) -> ok;
end_per_group(engine, _) -> testbed:remove_all(main).

%% A short one: a unix socket's path may have 103 characters.
init_per_testcase(Case, Config) ->
    Home = string:trim(os:cmd("mktemp -d /tmp/context.XXXXXX")),
    [{home, Home}, {config, filename:join(Home, ".docker")}, {testcase, Case} | Config].

end_per_testcase(_, Config) ->
    _ = testbed:sh(["rm", "-rf", ?config(home, Config)]),
    ok.

%% ---------------------------------------------------------------------------------------------
%% Without an engine
%% ---------------------------------------------------------------------------------------------

docker_host_goes_before_contexts(Config) ->
    ok = current(Config, "prod"),
    Peer = node(Config, [{"DOCKER_HOST", "unix:///tmp/no/such.sock"}, {"DOCKER_CONTEXT", "prod"}], []),
    ?assertMatch({error, {connect, <<"unix:///tmp/no/such.sock">>, enoent}}, resolve(Peer, "a@nowhere")),
    ?assertMatch(#{source := docker_host}, daemon(Peer)),
    testbed:stop(Peer),
    Set = node(Config, [{"DOCKER_CONTEXT", "prod"}], ["-epmd_docker", "docker_host", "\"/tmp/no/other.sock\""]),
    ?assertMatch({error, {connect, <<"unix:///tmp/no/other.sock">>, enoent}}, resolve(Set, "a@nowhere")),
    testbed:stop(Set).

%% Neither file nor folder is missed: a service may have no home.
no_home(Config) ->
    Peer = node(Config, [{"HOME", ""}], []),
    #{settings := Settings} = peer:call(Peer, epmd_docker, info, []),
    ?assertMatch(#{docker_config := undefined}, Settings),
    _ = resolve(Peer, "a@nowhere"),
    ?assertMatch(#{source := default, daemon := <<"unix:///var/run/docker.sock">>}, daemon(Peer)),
    testbed:stop(Peer),
    Lost = node(Config, [{"HOME", ""}, {"DOCKER_CONTEXT", "prod"}], []),
    ?assertMatch({error, {context, <<"prod">>, not_found}}, resolve(Lost, "a@nowhere")),
    testbed:stop(Lost).

%% The node boots: contexts are for people who work with docker on this machine, too.
what_is_refused_says_what_to_do(Config) ->
    [
        begin
            ok = meta(Config, Host),
            Peer = node(Config, [{"DOCKER_CONTEXT", "prod"}], []),
            {error, Reason} = resolve(Peer, "a@nowhere"),
            ?assertMatch({context, <<"prod">>, {endpoint, _}}, Reason),
            Text = lists:flatten(epmd_docker:format_error(Reason)),
            [?assertNotEqual(nomatch, string:find(Text, Word)) || Word <- ["prod" | Words]],
            ?assertMatch(#{state := {down, Reason}}, daemon(Peer)),
            testbed:stop(Peer)
        end
     || {Host, Words} <- [
            {"ssh://root@host", ["ssh://", "ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock",
                "unix:///tmp/docker.sock"]},
            {"npipe:////./pipe/docker_engine", ["npipe://", "tcp://HOST:PORT"]},
            {"fd://", ["fd://", "unix:///var/run/docker.sock"]}
        ]
    ].

a_missing_context(Config) ->
    ok = current(Config, "gone"),
    Peer = node(Config, [], []),
    ?assertMatch({error, {context, <<"gone">>, not_found}}, resolve(Peer, "a@nowhere")),
    ?assertNotEqual(nomatch, string:find(lists:flatten(epmd_docker:format_error({context, <<"gone">>, not_found})),
        "docker context ls")),
    %% What is not Docker's goes on as in stock Erlang.
    ?assertMatch({ok, []}, peer:call(Peer, epmd_docker, names, ["no-such-host.invalid"])),
    testbed:stop(Peer).

a_broken_context(Config) ->
    [
        begin
            File = write(Config, ["contexts", "meta", digest("prod"), "meta.json"], Text),
            Peer = node(Config, [{"DOCKER_CONTEXT", "prod"}], []),
            {error, Reason} = resolve(Peer, "a@nowhere"),
            ?assertEqual({context, <<"prod">>, expected(Kind, File)}, Reason),
            ?assertNotEqual(nomatch, string:find(lists:flatten(epmd_docker:format_error(Reason)), "prod")),
            testbed:stop(Peer)
        end
     || {Text, Kind} <- [
            {"{\"Endpoints\":", malformed},
            {"{\"Endpoints\":{\"docker\":{\"Host\":\"tcp://10.0.0.2:2376\",\"SkipTLSVerify\":true}}}", unverified}
        ]
    ].

expected(malformed, File) -> {malformed, list_to_binary(File)};
expected(unverified, _) -> unverified.

%% As docker's own client does: a word about it, and the default.
a_broken_config_json(Config) ->
    File = write(Config, ["config.json"], "{\"currentContext\": "),
    Log = filename:join(?config(home, Config), "log"),
    Peer = node(Config, [], ["-kernel", "logger", testbed:log_of(Log)]),
    _ = resolve(Peer, "a@nowhere"),
    ?assertMatch(#{source := default}, daemon(Peer)),
    testbed:eventually(fun() -> has(Log, File ++ " is not what Docker writes") end, 5000, Log),
    ?assertNot(has(Log, "the events or the list")),
    testbed:stop(Peer).

%% ---------------------------------------------------------------------------------------------
%% With a real engine
%% ---------------------------------------------------------------------------------------------

the_context_in_use(Config) ->
    Socket = link_to_engine(Config, "engine.sock"),
    create(Config, "prod", "unix://" ++ Socket),
    docker(Config, ["context", "use", "prod"]),
    Peer = node(Config, [], []),
    found(Config, Peer, {docker_context, <<"prod">>}, "unix://" ++ Socket),
    %% Followed too, and answered from memory.
    testbed:eventually(fun() -> maps:get(watch, daemon(Peer)) =:= following end, 5000),
    testbed:stop(Peer),
    docker(Config, ["context", "use", "default"]),
    Default = node(Config, [], []),
    found(Config, Default, default, "unix:///var/run/docker.sock"),
    testbed:stop(Default).

docker_context_goes_before_the_one_in_use(Config) ->
    Socket = link_to_engine(Config, "engine.sock"),
    create(Config, "other", "unix:///tmp/no/such.sock"),
    create(Config, "prod", "unix://" ++ Socket),
    docker(Config, ["context", "use", "other"]),
    Peer = node(Config, [{"DOCKER_CONTEXT", "prod"}], []),
    found(Config, Peer, {docker_context, <<"prod">>}, "unix://" ++ Socket),
    testbed:stop(Peer),
    Set = node(Config, [], ["-epmd_docker", "docker_context", "prod"]),
    found(Config, Set, {docker_context, <<"prod">>}, "unix://" ++ Socket),
    testbed:stop(Set),
    Default = node(Config, [{"DOCKER_CONTEXT", "default"}], []),
    found(Config, Default, default, "unix:///var/run/docker.sock"),
    testbed:stop(Default).

a_context_over_tcp(Config) ->
    Port = proxy(),
    Host = "tcp://127.0.0.1:" ++ integer_to_list(Port),
    create(Config, "prod", Host),
    Peer = node(Config, [{"DOCKER_CONTEXT", "prod"}], []),
    found(Config, Peer, {docker_context, <<"prod">>}, Host),
    testbed:stop(Peer).

%% It led nowhere, and is mended: no restart is needed.
a_context_is_changed(Config) ->
    create(Config, "prod", "unix:///tmp/no/such.sock"),
    Peer = node(Config, [{"DOCKER_CONTEXT", "prod"}], []),
    ?assertMatch({error, {connect, <<"unix:///tmp/no/such.sock">>, enoent}}, resolve(Peer, ?config(node, Config))),
    Socket = link_to_engine(Config, "engine.sock"),
    docker(Config, ["context", "update", "prod", "--docker", "host=unix://" ++ Socket]),
    testbed:eventually(fun() -> is_found(resolve(Peer, ?config(node, Config))) end, 5000),
    found(Config, Peer, {docker_context, <<"prod">>}, "unix://" ++ Socket),
    testbed:stop(Peer).

rootless_socket(Config) ->
    without_default(Config, "docker.sock", rootless).

podmans_socket(Config) ->
    without_default(Config, "podman/podman.sock", podman).

%% This machine's engine at another place, in a mount namespace that has no /run/docker.sock. Beside
%% it the default one is taken.
without_default(Config, Name, Source) ->
    Dir = ?config(home, Config),
    Socket = filename:join(Dir, Name),
    ok = filelib:ensure_dir(Socket),
    Env = [{"XDG_RUNTIME_DIR", Dir}],
    case testbed:sh(["unshare", "--mount", "true"]) of
        {ok, _} ->
            Script = "touch $0 && mount --bind $(readlink -f /run/docker.sock) $0 && mount -t tmpfs none /run && exec erl \"$@\"",
            Exec = {os:find_executable("unshare"), ["--mount", "sh", "-c", Script, Socket]},
            Peer = testbed:peer(options(Config, Env, #{exec => Exec})),
            found(Config, Peer, Source, "unix://" ++ Socket),
            testbed:stop(Peer);
        {error, Why} ->
            testbed:missing("this machine allows no mount namespaces: ~tp", [Why])
    end,
    ok = file:make_symlink("/run/docker.sock", Socket ++ ".new"),
    ok = file:rename(Socket ++ ".new", Socket),
    Beside = node(Config, Env, []),
    found(Config, Beside, default, "unix:///var/run/docker.sock"),
    testbed:stop(Beside).

%% ---------------------------------------------------------------------------------------------

found(Config, Peer, Source, Endpoint) ->
    Text = list_to_binary(Endpoint),
    ?assertMatch({ok, #{container := #{daemon := Text}}}, resolve(Peer, ?config(node, Config))),
    ?assertMatch(#{source := Source, daemon := Text, state := up}, daemon(Peer)).

is_found({ok, _}) -> true;
is_found({error, _}) -> false.

resolve(Peer, Node) -> peer:call(Peer, epmd_docker, resolve, [list_to_atom(Node)], 10_000).

daemon(Peer) ->
    #{daemons := [Own | _]} = peer:call(Peer, epmd_docker, info, []),
    Own.

node(Config, Env, Flags) ->
    Peer = testbed:peer(options(Config, Env, #{flags => Flags})),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    Peer.

options(Config, Env, More) ->
    Name = "context" ++ integer_to_list(erlang:unique_integer([positive])),
    Flags = ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-sname", Name, "-setcookie", "secret"],
    (maps:without([flags], More))#{
        args => Flags ++ maps:get(flags, More, []),
        env => lists:ukeysort(1, Env ++ [{"HOME", ?config(home, Config)}])
    }.

has(Log, Text) ->
    case file:read_file(Log) of
        {ok, Bytes} -> string:find(Bytes, Text) =/= nomatch;
        {error, _} -> false
    end.

%% ---------------------------------------------------------------------------------------------
%% Contexts
%% ---------------------------------------------------------------------------------------------

%% With docker's own client: what it writes is what is read.
create(Config, Name, Host) ->
    docker(Config, ["context", "create", Name, "--docker", "host=" ++ Host]).

docker(Config, Args) ->
    Clean = ["env", "-u", "DOCKER_HOST", "-u", "DOCKER_CONTEXT", "DOCKER_CONFIG=" ++ ?config(config, Config)],
    {ok, _} = testbed:sh(Clean ++ ["docker" | Args]).

current(Config, Name) ->
    _ = write(Config, ["config.json"], ["{\"currentContext\":\"", Name, "\"}"]),
    ok.

meta(Config, Host) ->
    _ = write(Config, ["contexts", "meta", digest("prod"), "meta.json"],
        ["{\"Name\":\"prod\",\"Metadata\":{},\"Endpoints\":{\"docker\":{\"Host\":\"", Host,
            "\",\"SkipTLSVerify\":false}}}"]),
    ok.

digest(Name) ->
    lists:flatten([io_lib:format("~2.16.0b", [Byte]) || <<Byte>> <= crypto:hash(sha256, Name)]).

write(Config, Path, Text) ->
    File = filename:join([?config(config, Config) | Path]),
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, Text),
    File.

link_to_engine(Config, Name) ->
    Path = filename:join(?config(home, Config), Name),
    ok = file:make_symlink("/var/run/docker.sock", Path),
    Path.

%% The proxy of the demo, which ends with the test case.
proxy() ->
    Port = testbed:free_port(),
    Script = filename:join([testbed:root(), "examples", "demo", "read_only_proxy.escript"]),
    _ = open_port({spawn_executable, os:find_executable("sh")}, [
        {args, ["-c", "escript \"$0\" /var/run/docker.sock $1 & trap 'kill $!' EXIT; cat >/dev/null", Script,
            integer_to_list(Port)]}, exit_status, hide
    ]),
    testbed:eventually(fun() -> answers(Port) end, 10_000),
    Port.

answers(Port) ->
    case gen_tcp:connect("127.0.0.1", Port, []) of
        {ok, Socket} -> gen_tcp:close(Socket) =:= ok;
        {error, _} -> false
    end.
