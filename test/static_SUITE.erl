%% No Docker access at all: the node table, and one static port with DNS, as epmdless's users have
%% it. Runs the examples as they are, and the commands around them.
-module(static_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 2}}].

all() -> [example_node_table, example_static_port, remote_shell_and_erl_call, remote_port_by_its_old_name].

example(Name, Variables) ->
    Libraries = "ERL_LIBS=" ++ filename:dirname(code:lib_dir(epmd_docker)),
    testbed:sh(["env", Libraries | Variables] ++ [filename:join([testbed:root(), "examples", Name, "run"])]).

%% ---------------------------------------------------------------------------------------------

%% The example itself asserts that our module is in use, and fails where a node sees too few.
example_node_table(_Config) ->
    {ok, Output} = example("node_table", ["BASE=" ++ integer_to_list(18001 + rand:uniform(1000) * 3)]),
    ?assertEqual(2, length(string:split(Output, "   pong", all)) - 1),
    [?assertNotEqual({nomatch, Output}, {string:find(Output, Line), Output}) || Line <- [
        "a@localhost sees [b@localhost,c@localhost]",
        "b@localhost sees [a@localhost,c@localhost]",
        "c@localhost sees [a@localhost,b@localhost]"]].

example_static_port(_Config) ->
    case testbed:engine() of
        ok ->
            Image = testbed:image(),
            {ok, Output} = example("static_port", ["IMAGE=" ++ Image, "LABEL=" ++ testbed:label(),
                "NETWORK=edt_static" ++ os:getpid()]),
            ?assertEqual(2, length(string:split(Output, "   pong", all)) - 1),
            [?assertNotEqual({nomatch, Output}, {string:find(Output, Line), Output}) || Line <- [
                "app@alpha sees [app@beta,app@gamma]",
                "app@beta sees [app@alpha,app@gamma]",
                "app@gamma sees [app@alpha,app@beta]"]];
        Skip ->
            Skip
    end.

%% ERL_DIST_PORT=8001 erl -dist_listen false -remsh a@localhost -epmd_module epmd_docker
remote_shell_and_erl_call(_Config) ->
    Port = integer_to_list(testbed:free_port()),
    Server = testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-sname", "a@localhost",
        "-setcookie", "secret"], env => [{"ERL_DIST_PORT", Port}]}),
    ?assertEqual(epmd_docker, peer:call(Server, net_kernel, epmd_module, [])),
    Prompt = "(a@localhost)1>",
    Command = lists:flatten(["ERL_DIST_PORT=", Port, " erl ", lists:join(" ", testbed:app_path()),
        " -dist_listen false -setcookie secret -remsh a@localhost -epmd_module epmd_docker"]),
    terminal:session(Command, [{expect, Prompt}, {type, "{answer, node()}.\r"}, {expect, "{answer,a@localhost}"}]),
    {ok, "a@localhost"} = testbed:sh(["sh", "-c", "echo 'io:format(\"~p\", [node()]).' | erl_call -address :" ++ Port ++
        " -c secret -fetch_stdout -no_result_term -e"]),
    testbed:stop(Server).

%% EPMDLESS_REMSH_PORT: the port of the other side, while ours is any.
remote_port_by_its_old_name(_Config) ->
    Port = integer_to_list(testbed:free_port()),
    Flags = ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "secret"],
    Server = testbed:peer(#{args => ["-sname", "b@localhost", "-erl_epmd_port", Port | Flags]}),
    Client = testbed:peer(#{args => ["-sname", "c@localhost" | Flags], env => [{"EPMDLESS_REMSH_PORT", Port}]}),
    ?assert(peer:call(Client, net_kernel, connect_node, ['b@localhost'])),
    testbed:eventually(fun() -> peer:call(Server, erlang, nodes, []) =:= ['c@localhost'] end, 5000),
    [testbed:stop(P) || P <- [Client, Server]].
