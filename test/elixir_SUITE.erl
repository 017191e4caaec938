%% examples/elixir_release: a Mix release built without hex, its commands, two of it in containers,
%% iex on this machine against one of them, and the same over TLS.
-module(elixir_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-define(IMAGE, "epmd_docker_test:elixir").
-define(BASE, "epmd_docker_test:elixir-base").
-define(SCRIPT, "/opt/hello/bin/hello").
-define(LABEL, "epmd_docker.test.elixir").
-define(NETWORK, "edt_elixir").
-define(PORT, "4370").

suite() -> [{timetrap, {minutes, 2}}].

all() -> [{group, on_this_machine}, {group, in_containers}, {group, over_tls}].

groups() ->
    [
        {on_this_machine, [], [
            our_module_is_in_use,
            the_library_is_in_the_release,
            commands_print_their_answer_and_nothing_else,
            remote,
            wrong_port,
            stop
        ]},
        {in_containers, [], [
            our_module_is_in_use_in_containers,
            cluster_of_two,
            remote_in_a_container,
            iex_on_this_machine,
            stop_in_a_container
        ]},
        {over_tls, [], [cluster_of_two, tls_is_in_use, remote_in_a_container, plain_peer_is_refused]}
    ].

init_per_suite(Config) ->
    case os:find_executable("mix") of
        false ->
            os:getenv("REQUIRE_DOCKER") =/= "1" orelse error("no Elixir on this machine"),
            io:format(user, "~n*** SKIPPED: no Elixir on this machine (scripts/setup test) ***~n", []),
            {skip, "no Elixir on this machine"};
        _ ->
            Build = filename:join(?config(priv_dir, Config), "build"),
            ok = release(Build),
            [{build, Build}, {release, filename:join([Build, "rel", "hello"])} | Config]
    end.

end_per_suite(_) -> ok.

%% With a home folder that holds no hex and no rebar3 of Mix, and outside of the source tree.
release(Build) ->
    Home = filename:join(Build, "home"),
    ok = filelib:ensure_dir(filename:join(Home, "x")),
    {ok, _} = testbed:sh(["env", "-C", example(), "HOME=" ++ Home, "LANG=C.UTF-8", "MIX_ENV=prod", "HEX_OFFLINE=1",
        "MIX_BUILD_PATH=" ++ Build, "MIX_REBAR3=" ++ os:find_executable("rebar3"), "mix", "release", "--quiet"]),
    [] = filelib:wildcard(filename:join(Home, ".{hex,mix}/**")),
    ok.

example() -> filename:join([testbed:root(), "examples", "elixir_release"]).

init_per_group(on_this_machine, Config) ->
    [{port, free_port()} | Config];
init_per_group(Group, Config) ->
    case testbed:engine() of
        ok ->
            remove(),
            _ = image(?config(build, Config)),
            testbed:docker(main, ["network", "create", "--label", ?LABEL, ?NETWORK]),
            [start(Group, Name, Config) || Name <- ["edtred", "edtblue"]],
            Config;
        Skip ->
            Skip
    end.

end_per_group(on_this_machine, Config) ->
    _ = os:cmd("pkill -KILL -f ^" ++ ?config(release, Config) ++ "/erts"),
    ok;
end_per_group(_, _) ->
    remove(),
    _ = testbed:try_docker(main, ["rmi", "-f", ?IMAGE, ?BASE]),
    ok.

image(Build) ->
    {ok, _} = testbed:sh([filename:join([testbed:root(), "test", "support", "base_images"]), "erlang", ?BASE]),
    testbed:docker(main, ["build", "-q", "-t", ?IMAGE, "-f", filename:join(example(), "Dockerfile"),
        "--build-arg", "BASE=" ++ ?BASE, "--build-arg", "RELEASE=rel/hello", Build]).

start(in_containers, Name, _) ->
    run(Name, []);
start(over_tls, Name, Config) ->
    Dir = certificates(Name, ?config(priv_dir, Config)),
    run(Name, ["--user", string:trim(os:cmd("id -u")), "-v", Dir ++ ":/tls:ro", "-e", "ELIXIR_ERL_OPTIONS=" ++ tls_flags("/tls")]).

run(Name, Flags) ->
    testbed:docker(main, ["run", "-d", "--init", "--label", ?LABEL, "--name", Name, "--hostname", Name,
        "--network", ?NETWORK, "-e", "RELEASE_COOKIE=secret"] ++ Flags ++ [?IMAGE]).

tls_flags(Dir) -> "-proto_dist inet_tls -ssl_dist_optfile " ++ Dir ++ "/ssl_dist.conf".

certificates(Name, PrivDir) ->
    Mesh = filename:join([testbed:root(), "examples", "tls_mesh"]),
    Certs = filename:join(PrivDir, "certs"),
    Dir = filename:join(PrivDir, "tls-" ++ Name),
    ok = filelib:ensure_dir(filename:join(Dir, "x")),
    [{ok, _} = testbed:sh([filename:join(Mesh, "mk-certs") | Args]) || Args <- [["ca", Certs], ["node", Certs, Name]]],
    [{ok, _} = file:copy(filename:join(From, File), filename:join(Dir, To)) || {From, File, To} <- [
        {Certs, "ca.pem", "ca.pem"}, {Mesh, "ssl_dist.conf", "ssl_dist.conf"},
        {Certs, Name ++ ".pem", "node.pem"}, {Certs, Name ++ ".key", "node.key"}]],
    Dir.

remove() ->
    [case testbed:try_docker(main, List ++ ["--filter", "label=" ?LABEL]) of
        {ok, [_ | _] = Ids} -> testbed:try_docker(main, Remove ++ string:lexemes(Ids, "\n"));
        _ -> ok
    end || {List, Remove} <- [{["ps", "-aq"], ["rm", "-f", "-v"]}, {["network", "ls", "-q"], ["network", "rm"]}]],
    ok.

free_port() ->
    {ok, Socket} = gen_tcp:listen(0, []),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    integer_to_list(Port).

%% ---------------------------------------------------------------------------------------------
%% On this machine
%% ---------------------------------------------------------------------------------------------

%% bin/hello COMMAND of the release as it was built: {ok, Output} or {error, {Status, Output}}.
hello(Config, Args) -> hello(Config, ?config(port, Config), Args).

hello(Config, Port, Args) -> testbed:sh(["env" | environment(Config, Port)] ++ [script(Config) | Args]).

script(Config) -> filename:join([?config(release, Config), "bin", "hello"]).

environment(Config, Port) ->
    ["LANG=C.UTF-8", "ERL_DIST_PORT=" ++ Port, "RELEASE_NODE=" ++ own_name(Config), "RELEASE_COOKIE=secret"].

%% Others on this machine may have a node with the release's own name.
own_name(Config) -> "hello" ++ ?config(port, Config).

own_node(Config) -> own_name(Config) ++ "@" ++ inet_db:gethostname().

our_module_is_in_use(Config) ->
    {ok, ""} = hello(Config, ["daemon"]),
    Expected = {ok, own_node(Config) ++ " sees [] by epmd_docker"},
    testbed:eventually(fun() -> hello(Config, ["rpc", "IO.puts(Hello.who())"]) =:= Expected end, 20_000).

the_library_is_in_the_release(Config) ->
    Files = filename:join([?config(release, Config), "lib", "epmd_docker-*"]),
    ?assertMatch([_], filelib:wildcard(filename:join([Files, "priv", "epmd_docker_nif.so"]))),
    ?assertMatch([_], filelib:wildcard(filename:join([Files, "ebin", "epmd_docker.app"]))),
    ?assertEqual({ok, "\"embedded\""}, hello(Config, ["rpc", "IO.inspect(to_string(:code.get_mode()))"])),
    ?assertEqual({ok, ":loaded"}, hello(Config, ["rpc", "IO.inspect(:epmd_docker.info().library)"])).

%% Output and standard error together.
commands_print_their_answer_and_nothing_else(Config) ->
    ?assertEqual({ok, "3"}, hello(Config, ["rpc", "IO.puts(1 + 2)"])),
    ?assertEqual({ok, "nonode@nohost sees [] by epmd_docker"}, hello(Config, ["eval", "IO.puts(Hello.who())"])),
    {ok, Pid} = hello(Config, ["pid"]),
    ?assert(filelib:is_dir("/proc/" ++ Pid), Pid).

remote(Config) ->
    Node = own_node(Config),
    Command = lists:join(" ", ["env" | environment(Config, ?config(port, Config))] ++ [script(Config), "remote"]),
    _ = terminal:session(lists:flatten(Command), [
        {expect, "iex(" ++ Node ++ ")1>"}, {type, "Hello.who() |> String.upcase()\r"}, {expect, string:uppercase(Node) ++ " SEES"}]).

wrong_port(Config) ->
    {error, {1, Said}} = hello(Config, free_port(), ["rpc", "IO.puts(1)"]),
    ?assertNotEqual(nomatch, string:find(Said, "nodedown"), Said).

stop(Config) ->
    {ok, Pid} = hello(Config, ["pid"]),
    {ok, _} = hello(Config, ["stop"]),
    testbed:eventually(fun() -> not filelib:is_dir("/proc/" ++ Pid) end, 10_000).

%% ---------------------------------------------------------------------------------------------
%% In containers
%% ---------------------------------------------------------------------------------------------

in(Name, Args) -> testbed:try_docker(main, ["exec", Name, ?SCRIPT | Args]).

rpc(Name, Expression) -> in(Name, ["rpc", Expression]).

is_up(Name) ->
    testbed:eventually(fun() ->
        case rpc(Name, "IO.puts(Hello.who())") of
            {ok, Line} -> string:find(Line, "by epmd_docker") =/= nomatch;
            _ -> false
        end
    end, 20_000).

our_module_is_in_use_in_containers(_Config) ->
    [is_up(Name) || Name <- ["edtred", "edtblue"]],
    ?assertEqual("10001", testbed:docker(main, ["exec", "edtred", "id", "-u"])).

cluster_of_two(_Config) ->
    [is_up(Name) || Name <- ["edtred", "edtblue"]],
    ?assertEqual({ok, "true"}, rpc("edtred", "IO.inspect(Node.connect(:hello@edtblue))")),
    ?assertEqual({ok, "hello@edtblue sees [hello@edtred] by epmd_docker"}, rpc("edtblue", "IO.puts(Hello.who())")),
    ?assertEqual({ok, ":hello@edtblue"}, rpc("edtred", "IO.inspect(:erpc.call(:hello@edtblue, Kernel, :node, []))")),
    Top = [testbed:docker(main, ["top", Name, "-eo", "pid,comm"]) || Name <- ["edtred", "edtblue"]],
    ?assertEqual([nomatch, nomatch], [string:find(Text, "epmd") || Text <- Top]).

remote_in_a_container(_Config) ->
    _ = terminal:session("docker exec -it -e TERM=xterm edtred " ?SCRIPT " remote", [
        {expect, "iex(hello@edtred)1>"}, {type, "Hello.who() |> String.upcase()\r"}, {expect, "HELLO@EDTRED SEES"}]).

%% Not on the containers' network: Docker says where they are.
iex_on_this_machine(Config) ->
    Command = "env LANG=C.UTF-8 ERL_LIBS=" ++ filename:join(?config(build, Config), "lib") ++ " ERL_DIST_PORT=" ?PORT
        " iex --sname " ++ own_name([{port, free_port()}]) ++ " --cookie secret"
        " --erl '-start_epmd false -epmd_module epmd_docker -dist_listen false'",
    _ = terminal:session(Command ++ " --remsh hello@edtred", [
        {expect, "iex(hello@edtred)1>"}, {type, "Hello.who() |> String.upcase()\r"}, {expect, "HELLO@EDTRED SEES"}]),
    _ = terminal:session(Command, [
        {expect, ")1>"}, {type, "Node.connect(:hello@edtblue) |> to_string() |> String.upcase()\r"}, {expect, "\"TRUE\""},
        {type, "{:ok, f} = :epmd_docker.resolve(:hello@edtblue); f.container.name <> \"!\"\r"}, {expect, "\"edtblue!\""}]).

stop_in_a_container(_Config) ->
    {ok, _} = in("edtblue", ["stop"]),
    testbed:eventually(fun() ->
        testbed:docker(main, ["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "edtblue"]) =:= "exited 0"
    end, 10_000).

%% ---------------------------------------------------------------------------------------------
%% Over TLS
%% ---------------------------------------------------------------------------------------------

tls_is_in_use(_Config) ->
    Protocol = "{:ok, nodes} = :net_kernel.nodes_info(); {_, info} = List.keyfind(nodes, :hello@edtblue, 0); "
        "IO.inspect(elem(info[:address], 3))",
    ?assertEqual({ok, ":tls"}, rpc("edtred", Protocol)).

plain_peer_is_refused(_Config) ->
    _ = run("edtplain", []),
    is_up("edtplain"),
    ?assertEqual({ok, "false"}, rpc("edtplain", "IO.inspect(Node.connect(:hello@edtred))")).
