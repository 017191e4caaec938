%% examples/release: a production release (embedded mode, its own Erlang) whose start script's
%% commands all work, two of them side by side, and in an image of its own.
-module(release_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-define(IMAGE, "epmd_docker_test:hello").
-define(SCRIPT, "/opt/hello/bin/hello").

suite() -> [{timetrap, {minutes, 2}}].

all() -> [{group, on_this_machine}, {group, in_a_container}].

groups() ->
    [
        {on_this_machine, [], [
            our_module_is_in_use,
            a_production_release,
            commands_print_their_answer_and_nothing_else,
            the_same_with_nodetool,
            wrong_port,
            two_side_by_side,
            console,
            remote_console,
            foreground,
            restart,
            stop
        ]},
        {in_a_container, [], [
            not_root_and_no_rust,
            our_module_is_in_use_in_a_container,
            commands_in_a_container,
            remote_console_in_a_container,
            from_the_host,
            restart_in_a_container,
            read_only_and_docker_stop
        ]}
    ].

init_per_suite(Config) ->
    Dir = ?config(priv_dir, Config),
    Example = filename:join([testbed:root(), "examples", "release"]),
    %% Outside of the tree, which other suites build into.
    {ok, _} = testbed:sh(["env", "-C", Example, "REBAR_BASE_DIR=" ++ filename:join(Dir, "build"),
        "rebar3", "as", "prod", "release"]),
    [{release, filename:join([Dir, "build", "prod", "rel", "hello"])} | Config].

end_per_suite(_) ->
    ok.

init_per_group(on_this_machine, Config) ->
    Nodes = [new_node(Config, Name) || Name <- ["one", "two"]],
    [{nodes, Nodes} | Config];
init_per_group(in_a_container, Config) ->
    case testbed:engine() of
        ok ->
            base_images:build("examples/release/Dockerfile", ?IMAGE, "plain"),
            Config;
        Skip ->
            Skip
    end.

end_per_group(on_this_machine, _) ->
    ok;
end_per_group(in_a_container, _) ->
    base_images:remove(?IMAGE).

init_per_testcase(_, Config) ->
    Config.

end_per_testcase(_, Config) ->
    [kill(Node) || Node <- proplists:get_value(nodes, Config, [])],
    base_images:remove_containers(?IMAGE).

%% Each has a copy of the release: the start script writes its vm.args into it.
new_node(Config, Name) ->
    Dir = filename:join(?config(priv_dir, Config), Name),
    {ok, _} = testbed:sh(["cp", "-R", ?config(release, Config), Dir]),
    #{name => Name, dir => Dir, port => testbed:free_port()}.

%% Whatever runs from that copy: no other process has that path in its command line.
kill(#{dir := Dir}) ->
    _ = os:cmd("pkill -KILL -f ^" ++ Dir ++ "/erts"),
    ok.

one(Config) -> hd(?config(nodes, Config)).

%% bin/hello COMMAND... of a node, as a shell line's words; More is further environment.
command(#{dir := Dir, name := Name, port := Port}, More, Args) ->
    ["env", "-u", "HOSTNAME", "ERL_DIST_PORT=" ++ integer_to_list(Port), "NODE_NAME=" ++ Name] ++
        More ++ [filename:join([Dir, "bin", "hello"]) | Args].

%% {ok, Output} or {error, {Status, Output}}, with standard error in it.
hello(Node, Args) -> hello(Node, [], Args).

hello(Node, More, Args) -> testbed:sh(command(Node, More, Args)).

start(Node) -> start(Node, []).

start(Node, More) ->
    {ok, ""} = hello(Node, More, ["daemon"]),
    Node.

%% ---------------------------------------------------------------------------------------------
%% On this machine
%% ---------------------------------------------------------------------------------------------

a_production_release(Config) ->
    Dir = ?config(release, Config),
    Has = fun(Pattern) -> filelib:wildcard(filename:join(Dir, Pattern)) =/= [] end,
    ?assert(Has("erts-*/bin/beam.smp")),
    ?assert(Has("lib/epmd_docker-*/priv/epmd_docker_nif.so")),
    ?assertNot(Has("lib/*/src")),
    ?assertEqual({ok, ""}, testbed:sh(["find", Dir, "-type", "l"])),
    {ok, Args} = file:read_file(filename:join([Dir, "releases", "1.0.0", "vm.args.src"])),
    ?assertEqual([<<"-start_epmd false">>, <<"-epmd_module epmd_docker">>],
        [Line || Line <- string:lexemes(Args, "\n"), string:find(Line, "epmd") =/= nomatch]).

our_module_is_in_use(Config) ->
    Node = start(one(Config)),
    ?assertEqual({ok, "{one@localhost, epmd_docker}"}, hello(Node, ["rpc", "hello", "who"])),
    ?assertEqual({ok, "{ok, [[\"embedded\"]]}"}, hello(Node, ["rpc", "init", "get_argument", "[mode]"])),
    ?assertEqual({ok, "loaded"}, hello(Node, ["eval", "maps:get(library, epmd_docker:info())."])).

commands_print_their_answer_and_nothing_else(Config) ->
    Node = start(one(Config)),
    {ok, Pid} = hello(Node, ["eval", "list_to_integer(os:getpid())."]),
    ?assertEqual({ok, "pong"}, hello(Node, ["ping"])),
    ?assertEqual({ok, Pid}, hello(Node, ["pid"])),
    ?assertEqual({ok, "3"}, hello(Node, ["rpc", "erlang", "length", "[[a,b,c]]"])),
    ?assertEqual({ok, "{one@localhost, epmd_docker}"}, hello(Node, ["eval", "hello:who()."])).

%% What relx used before it had erl_call: a VM of its own with the node's flags, whose port is taken.
the_same_with_nodetool(Config) ->
    Node = start(one(Config)),
    Tool = fun(Args) -> hello(Node, ["USE_NODETOOL=1"], Args) end,
    ?assertEqual({ok, "pong"}, Tool(["ping"])),
    ?assertEqual({ok, "{one@localhost,epmd_docker}"}, Tool(["rpc", "hello", "who"])),
    ?assertEqual({ok, "{one@localhost,epmd_docker}"}, Tool(["eval", "hello:who()."])).

wrong_port(Config) ->
    Node = start(one(Config)),
    Port = integer_to_list(testbed:free_port()),
    ?assertEqual({error, {1, "Node is not running!"}}, hello(Node, ["ERL_DIST_PORT=" ++ Port], ["ping"])),
    ?assertEqual({error, {1, "Node is not running!"}},
        hello(Node, ["ERL_DIST_PORT=" ++ Port], ["remote_console"])),
    ?assertEqual({ok, "pong"}, hello(Node, ["ping"])).

%% No epmd: each knows the other's port from the node table.
two_side_by_side(Config) ->
    Nodes = ?config(nodes, Config),
    Table = lists:join(" ", [Name ++ "@localhost:" ++ integer_to_list(Port) || #{name := Name, port := Port} <- Nodes]),
    [One, Two] = [start(Node, ["EPMD_DOCKER_NODES=" ++ lists:append(Table)]) || Node <- Nodes],
    ?assertEqual({ok, "pong"}, hello(One, ["rpc", "net_adm", "ping", "['two@localhost']"])),
    ?assertEqual({ok, "{two@localhost, epmd_docker}"},
        hello(One, ["rpc", "erpc", "call", "['two@localhost', hello, who, []]"])),
    ?assertEqual({ok, "[one@localhost]"}, hello(Two, ["rpc", "erlang", "nodes"])),
    ?assertEqual({ok, ""}, hello(One, ["stop"])),
    ?assertEqual({error, {1, "Node is not running!"}}, hello(One, ["ping"])),
    ?assertEqual({ok, "pong"}, hello(Two, ["ping"])).

console(Config) ->
    Output = terminal:session(line(one(Config), ["console"]), [
        {expect, "(one@localhost)1> "}, {type, "{answer, hello:who()}.\r"},
        {expect, "{answer,{one@localhost,epmd_docker}}"}, {type, "q().\r"}, ended
    ]),
    ?assertEqual(nomatch, string:find(Output, "epmd_docker:")).

remote_console(Config) ->
    Node = start(one(Config)),
    Output = shell_session(line(Node, ["remote_console"]), "one@localhost"),
    ?assertEqual(nomatch, string:find(Output, "epmd_docker:")),
    ?assertEqual({ok, "pong"}, hello(Node, ["ping"])).

line(Node, Args) ->
    lists:append(lists:join(" ", command(Node, [], Args))).

%% A remote shell on a terminal, left with ctrl-G so that the node lives on.
shell_session(Command, NodeName) ->
    terminal:session(Command, [
        {expect, "(" ++ NodeName ++ ")1> "}, {type, "{answer, hello:who()}.\r"},
        {expect, "{answer,{" ++ NodeName ++ ",epmd_docker}}"}, {type, "\^G"},
        {expect, "-->"}, {type, "q\r"}, ended
    ]).

foreground(Config) ->
    Node = one(Config),
    [Env | Args] = command(Node, [], ["foreground"]),
    Port = open_port({spawn_executable, os:find_executable(Env)},
        [{args, Args}, exit_status, stderr_to_stdout, binary, hide]),
    ok = until_it_listens(Node),
    ?assertEqual({ok, "pong"}, hello(Node, ["ping"])),
    ?assertEqual({ok, ""}, hello(Node, ["stop"])),
    {Status, Output} = to_the_end(Port, <<>>),
    ?assertEqual(0, Status),
    ?assertEqual(nomatch, string:find(Output, "epmd_docker:")).

%% No command of the script: each writes vm.args anew, which a node that boots may be reading.
until_it_listens(#{port := Port}) ->
    testbed:eventually(fun() ->
        case gen_tcp:connect("localhost", Port, []) of
            {ok, Socket} -> ok =:= gen_tcp:close(Socket);
            {error, Reason} -> Reason
        end
    end, 20_000).

to_the_end(Port, Output) ->
    receive
        {Port, {data, Data}} -> to_the_end(Port, <<Output/binary, Data/binary>>);
        {Port, {exit_status, Status}} -> {Status, Output}
    after 20_000 -> ct:fail({not_ended, Output})
    end.

%% The same operating system process, booted again: another creation of the same name.
restart(Config) ->
    Node = start(one(Config)),
    restarted(fun(Args) -> hello(Node, Args) end),
    ?assertEqual({ok, "{one@localhost, epmd_docker}"}, hello(Node, ["rpc", "hello", "who"])).

restarted(Hello) ->
    Creation = fun() -> Hello(["rpc", "erlang", "system_info", "[creation]"]) end,
    {ok, Before} = Creation(),
    {ok, Pid} = Hello(["pid"]),
    ?assertEqual({ok, ""}, Hello(["restart"])),
    testbed:eventually(fun() ->
        case Creation() of
            {ok, Now} -> Now =/= Before;
            {error, _} -> false
        end
    end, 20_000),
    testbed:eventually(fun() -> Hello(["eval", "is_pid(whereis(hello))."]) =:= {ok, "true"} end, 20_000),
    ?assertEqual({ok, Pid}, Hello(["pid"])).

stop(Config) ->
    Node = start(one(Config)),
    {ok, Pid} = hello(Node, ["pid"]),
    ?assertEqual({ok, ""}, hello(Node, ["stop"])),
    ?assertNot(filelib:is_dir("/proc/" ++ Pid)),
    ?assertEqual({error, {1, "Node is not running!"}}, hello(Node, ["ping"])).

%% ---------------------------------------------------------------------------------------------
%% In a container
%% ---------------------------------------------------------------------------------------------

container(Flags) ->
    Id = testbed:docker(main, ["run", "-d" | Flags] ++ [?IMAGE]),
    %% From the first moment, which the node must not mind (see the Dockerfile).
    testbed:eventually(
        fun() ->
            case inside(Id, ["ping"]) of
                {ok, "pong"} -> true;
                Other -> {Other, testbed:try_docker(main, ["logs", Id])}
            end
        end, 30_000, Flags),
    Id.

inside(Id, Args) -> testbed:sh(["docker", "exec", Id, ?SCRIPT | Args]).

name(Id) -> "hello@" ++ lists:sublist(Id, 12).

not_root_and_no_rust(_Config) ->
    Run = fun(Args) -> testbed:docker(main, ["run", "--rm", "--entrypoint"] ++ Args) end,
    ?assertEqual("10001", Run(["id", ?IMAGE, "-u"])),
    %% Rust's programs and folders, its sources, and the sources of the release.
    ?assertEqual("", Run(["find", ?IMAGE, "/", "-xdev", "(", "-name", "*cargo*", "-o", "-name",
        "rustc*", "-o", "-name", "*.rs", "-o", "-name", "*.erl", ")"])).

our_module_is_in_use_in_a_container(_Config) ->
    Id = container([]),
    ?assertEqual({ok, "{" ++ name(Id) ++ ", epmd_docker}"}, in_quotes(inside(Id, ["rpc", "hello", "who"]))),
    ?assertEqual({ok, "loaded"}, inside(Id, ["eval", "maps:get(library, epmd_docker:info())."])).

%% erl_call puts some atoms between quotes.
in_quotes({ok, Output}) -> {ok, lists:append(string:replace(Output, "'", "", all))};
in_quotes(Error) -> Error.

commands_in_a_container(_Config) ->
    Id = container([]),
    ?assertEqual({ok, "1"}, inside(Id, ["pid"])),
    ?assertEqual({ok, "3"}, inside(Id, ["rpc", "erlang", "length", "[[a,b,c]]"])),
    ?assertEqual({ok, "epmd_docker"}, inside(Id, ["eval", "element(2, hello:who())."])),
    ?assertEqual({error, {1, "Node is not running!"}},
        testbed:sh(["docker", "exec", "-e", "ERL_DIST_PORT=8099", Id, ?SCRIPT, "ping"])).

remote_console_in_a_container(_Config) ->
    Id = container([]),
    _ = shell_session("docker exec -it " ++ Id ++ " " ++ ?SCRIPT ++ " remote_console", name(Id)),
    ?assertEqual({ok, "pong"}, inside(Id, ["ping"])).

%% The image's ERL_DIST_PORT is what tells the host the port.
from_the_host(_Config) ->
    Id = container([]),
    Node = list_to_atom(name(Id)),
    Peer = testbed:peer(#{args => ["-sname", "host", "-start_epmd", "false", "-epmd_module",
        "epmd_docker", "-setcookie", "hello_cookie"]}),
    ?assertEqual({Node, epmd_docker}, peer:call(Peer, rpc, call, [Node, hello, who, []], 10_000)),
    ?assertMatch({ok, #{source := container, port := 8081}},
        peer:call(Peer, epmd_docker, resolve, [Node], 10_000)),
    testbed:stop(Peer).

restart_in_a_container(_Config) ->
    Id = container([]),
    restarted(fun(Args) -> inside(Id, Args) end).

read_only_and_docker_stop(_Config) ->
    Id = container(["--read-only", "--tmpfs", "/tmp"]),
    ?assertEqual({ok, "pong"}, inside(Id, ["ping"])),
    _ = testbed:docker(main, ["stop", "--time", "30", Id]),
    ?assertEqual("0", testbed:docker(main, ["inspect", "-f", "{{.State.ExitCode}}", Id])).
