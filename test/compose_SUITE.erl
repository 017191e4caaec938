%% The Compose examples, run by docker-compose (v1) and by docker compose (v2) on the machine's own
%% engine. The tests look into the containers through a hidden node on this machine.
-module(compose_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 3}}].

all() -> [{group, v1}, {group, v2}].

groups() ->
    [
        {v1, [], [{group, mesh}, {group, epmd}]},
        {v2, [], [{group, mesh}, {group, epmd}]},
        {mesh, [], [
            our_module_is_in_use,
            three_services_are_one_mesh,
            scaled_replicas_mesh_too,
            a_seed_that_comes_back
        ]},
        {epmd, [], [
            stock_nodes_with_epmd_inside,
            from_a_container_on_the_network,
            from_the_host_hidden,
            from_the_host_as_a_member
        ]}
    ].

%% ---------------------------------------------------------------------------------------------
%% Projects
%% ---------------------------------------------------------------------------------------------

init_per_suite(Config) ->
    case testbed:engine() of
        ok ->
            testbed:remove_all(main),
            _ = testbed:image(),
            [{image, image()} | Config];
        Skip ->
            Skip
    end.

end_per_suite(_) ->
    testbed:remove_all(main).

%% What the public images are to a user; under a name of its own, since what is built from it here is
%% built twice.
image() ->
    Image = "epmd_docker_test:compose_otp" ++ erlang:system_info(otp_release),
    {ok, _} = testbed:sh([support("image"), "tiny", Image, "--with", code:lib_dir(epmd_docker)]),
    Image.

support(Script) ->
    filename:join([testbed:root(), "test", "support", Script]).

init_per_group(Version, Config) when Version =:= v1; Version =:= v2 ->
    case {testbed:sh([support("compose"), atom_to_list(Version), "version"]), os:getenv("REQUIRE_DOCKER")} of
        {{ok, _}, _} ->
            [{version, Version} | Config];
        {{error, {2, Why}}, No} when No =/= "1" ->
            io:format(user, "~n*** SKIPPED: ~ts ***~n", [Why]),
            {skip, Why}
    end;
init_per_group(mesh, Config) ->
    up("compose_mesh", ["front", "stock", "worker"], ["default"], ["--build"], [{epmd_module, epmd_docker} | Config]);
init_per_group(epmd, Config) ->
    up("compose_epmd", ["web", "db"], ["cluster"], [], [{epmd_module, erl_epmd} | Config]).

end_per_group(Group, Config) when Group =:= mesh; Group =:= epmd ->
    testbed:stop(?config(control, Config)),
    _ = compose(Config, ["down", "-t", "0", "-v", "--rmi", "local"]),
    ok;
end_per_group(_, _) ->
    ok.

up(Example, Services, Networks, Flags, Config) ->
    alone(hd(Services)),
    Project = "edt" ++ os:getpid() ++ "_" ++ Example,
    Labels = labels(Config, Project, Services, Networks),
    Full = [{example, Example}, {project, Project}, {labels, Labels} | Config],
    _ = compose(Full, ["up", "-d" | Flags]),
    Control = testbed:peer(#{args => shell_flags() ++ ["-sname", unique("control"), "-hidden"]}),
    true = unlink(Control),
    [{control, Control} | Full].

shell_flags() ->
    ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "secret"].

unique(Name) -> Name ++ integer_to_list(erlang:unique_integer([positive])).

%% Two projects with equal host names on one engine make a name ambiguous: another run of this
%% suite has to end first.
alone(Service) ->
    testbed:eventually(fun() -> ids([{"com.docker.compose.service", Service}]) =:= [] end, 120_000,
        {"another project has a service", Service}).

%% What Compose makes gets the label by which every run cleans up, also after one that was killed.
labels(Config, Project, Services, Networks) ->
    [Key, Value] = string:split(testbed:label(), "="),
    Part = fun(Kind, Names) ->
        [Kind, ":\n", [["  ", Name, ": {labels: {", Key, ": \"", Value, "\"}}\n"] || Name <- Names]]
    end,
    File = filename:join(?config(priv_dir, Config), Project ++ ".labels.yml"),
    ok = file:write_file(File, [Part("services", Services), Part("networks", Networks)]),
    File.

compose(Config, Args) ->
    File = filename:join([testbed:root(), "examples", ?config(example, Config), "docker-compose.yml"]),
    Image = ?config(image, Config),
    Env = ["BASE=" ++ Image, "ERLANG=" ++ Image],
    Command = [support("compose"), atom_to_list(?config(version, Config)), "-p", ?config(project, Config),
        "-f", File, "-f", ?config(labels, Config)],
    case testbed:sh(["env" | Env ++ Command ++ Args]) of
        {ok, Output} -> Output;
        {error, Why} -> ct:fail({compose, Args, Why})
    end.

%% The running containers with these labels.
ids(Labels) ->
    Filters = lists:append([["--filter", "label=" ++ Key ++ "=" ++ Value] || {Key, Value} <- Labels]),
    string:lexemes(testbed:docker(main, ["ps", "-q" | Filters]), "\n").

ids_of(Config, Service) ->
    ids([{"com.docker.compose.project", ?config(project, Config)}, {"com.docker.compose.service", Service}]).

%% ---------------------------------------------------------------------------------------------
%% Nodes
%% ---------------------------------------------------------------------------------------------

app(Host) -> list_to_atom("app@" ++ Host).

workers(Config) -> [app(Id) || Id <- ids_of(Config, "worker")].

rpc(Config, Node, M, F, A) ->
    peer:call(?config(control, Config), rpc, call, [Node, M, F, A, 10_000], 15_000).

%% Until each of these nodes sees all the others, and nobody else.
mesh(Config, Nodes) ->
    [testbed:eventually(
        fun() ->
            case rpc(Config, Node, erlang, nodes, []) of
                Seen when is_list(Seen) -> lists:sort([Node | Seen]) =:= lists:sort(Nodes);
                {badrpc, _} = Bad -> Bad
            end
        end, 20_000, {Node, of_mesh, Nodes}) || Node <- Nodes],
    [?assertEqual(?config(epmd_module, Config), rpc(Config, Node, net_kernel, epmd_module, [])) || Node <- Nodes].

epmd_processes(Ids) ->
    [Line || Id <- Ids,
        Line <- string:lexemes(testbed:docker(main, ["top", Id, "-eo", "pid,comm"]), "\n"),
        string:find(Line, "epmd") =/= nomatch].

all_ids(Config) -> ids([{"com.docker.compose.project", ?config(project, Config)}]).

%% ---------------------------------------------------------------------------------------------
%% compose_mesh: epmd_docker with one fixed port, without epmd and without Docker
%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    ?assertEqual(epmd_docker, peer:call(?config(control, Config), net_kernel, epmd_module, [])),
    [Worker] = workers(Config),
    Nodes = ['app@front', 'app@stock', Worker],
    [testbed:eventually(
        fun() -> rpc(Config, Node, net_kernel, epmd_module, []) =:= epmd_docker end, 20_000, Node) || Node <- Nodes],
    %% No container has Docker's socket.
    ?assertEqual([false, false, false],
        [rpc(Config, Node, filelib, is_file, ["/var/run/docker.sock"]) || Node <- Nodes]).

three_services_are_one_mesh(Config) ->
    [Worker] = workers(Config),
    Nodes = ['app@front', 'app@stock', Worker],
    mesh(Config, Nodes),
    ?assertEqual([], epmd_processes(all_ids(Config))),
    %% DNS gave the address and the setting gave the port.
    ?assertMatch({ok, #{port := 8001, source := fixed_port}},
        rpc(Config, 'app@front', epmd_docker, resolve, ['app@stock'])),
    ?assertMatch({ok, #{port := 8001, source := fixed_port}},
        rpc(Config, 'app@front', epmd_docker, resolve, [Worker])).

scaled_replicas_mesh_too(Config) ->
    [First] = workers(Config),
    _ = compose(Config, ["up", "-d", "--scale", "worker=3"]),
    Workers = workers(Config),
    ?assertEqual(3, length(Workers)),
    ?assert(lists:member(First, Workers), "the one that was there stayed"),
    mesh(Config, ['app@front', 'app@stock' | Workers]),
    %% The replicas, which know only the seeds, are connected to each other.
    [?assertEqual([], Workers -- [Worker | rpc(Config, Worker, erlang, nodes, [])]) || Worker <- Workers],
    ?assertEqual([], epmd_processes(all_ids(Config))).

a_seed_that_comes_back(Config) ->
    [Front] = ids_of(Config, "front"),
    Nodes = ['app@front', 'app@stock' | workers(Config)],
    testbed:docker(main, ["kill", Front]),
    mesh(Config, Nodes -- ['app@front']),
    testbed:docker(main, ["start", Front]),
    mesh(Config, Nodes).

%% ---------------------------------------------------------------------------------------------
%% compose_epmd: stock nodes with epmd inside, and an O&M node that joins from two places
%% ---------------------------------------------------------------------------------------------

-define(STOCK, ['app@web', 'app@db']).

stock_nodes_with_epmd_inside(Config) ->
    ?assertEqual(epmd_docker, peer:call(?config(control, Config), net_kernel, epmd_module, [])),
    mesh(Config, ?STOCK),
    ?assertEqual(2, length(epmd_processes(all_ids(Config)))),
    [?assertEqual(non_existing, rpc(Config, Node, code, which, [epmd_docker])) || Node <- ?STOCK],
    ?assertEqual([[], []], [string:lexemes(testbed:docker(main, ["port", Id]), "\n") || Id <- all_ids(Config)]).

%% All stock: a container more on the same network.
from_a_container_on_the_network(Config) ->
    Network = ?config(project, Config) ++ "_cluster",
    Id = testbed:run(main, ["--network", Network], ["erl", "-noinput", "-sname", "om", "-setcookie", "secret",
        "-kernel", "sync_nodes_optional", "['app@web']", "-kernel", "sync_nodes_timeout", "5000"]),
    Om = list_to_atom("om@" ++ lists:sublist(Id, 12)),
    mesh(Config, [Om | ?STOCK]),
    testbed:docker(main, ["rm", "-f", Id]),
    mesh(Config, ?STOCK).

%% From the host, where stock Erlang finds no app@web.
from_the_host_hidden(Config) ->
    Stock = testbed:peer(#{args => ["-sname", "undefined", "-dist_listen", "false", "-setcookie", "secret"]}),
    ?assertNot(peer:call(Stock, net_kernel, connect_node, ['app@web'], 10_000)),
    testbed:stop(Stock),
    Om = testbed:peer(#{args => shell_flags() ++ ["-sname", unique("om"), "-hidden"]}),
    [?assert(peer:call(Om, net_kernel, connect_node, [Node], 10_000)) || Node <- ?STOCK],
    ?assertEqual(lists:sort(?STOCK), lists:sort(peer:call(Om, erlang, nodes, [hidden]))),
    [?assertEqual(Node, peer:call(Om, erpc, call, [Node, erlang, node, []])) || Node <- ?STOCK],
    ?assertMatch({ok, #{source := container}}, peer:call(Om, epmd_docker, resolve, ['app@web'])),
    testbed:stop(Om),
    mesh(Config, ?STOCK).

%% Visible, and so one of the mesh: the containers have to reach it back, by the name that
%% extra_hosts gives to the host, through the epmd of the host.
from_the_host_as_a_member(Config) ->
    Epmd = host_epmd(),
    Om = list_to_atom(unique("om") ++ "@om-host"),
    Peer = testbed:peer(#{args => ["-epmd_module", "epmd_docker", "-setcookie", "secret",
        "-sname", atom_to_list(Om)]}),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assert(peer:call(Peer, net_kernel, connect_node, ['app@web'], 10_000)),
    Mesh = lists:sort([Om | ?STOCK]),
    testbed:eventually(fun() -> lists:sort([Om | peer:call(Peer, erlang, nodes, [])]) =:= Mesh end, 20_000),
    mesh_seen_by_stock(Config, Mesh),
    %% From a container to the host: only the name om-host leads there.
    ?assertEqual(Om, rpc(Config, 'app@db', rpc, call, [Om, erlang, node, []])),
    testbed:stop(Peer),
    mesh_seen_by_stock(Config, ?STOCK),
    [port_close(Epmd) || is_port(Epmd)].

mesh_seen_by_stock(Config, Mesh) ->
    [testbed:eventually(
        fun() -> lists:sort([Node | rpc(Config, Node, erlang, nodes, [])]) =:= lists:sort(Mesh) end,
        20_000, {Node, Mesh}) || Node <- ?STOCK].

%% An epmd in the foreground, which ends with this test, where the machine has none.
host_epmd() ->
    case gen_tcp:connect("127.0.0.1", 4369, []) of
        {ok, Socket} ->
            ok = gen_tcp:close(Socket),
            already_there;
        {error, econnrefused} ->
            %% A reader whose end is seen: epmd does not look at its standard input.
            Port = open_port({spawn, "sh -c 'epmd & cat >/dev/null; kill $!'"}, [hide]),
            testbed:eventually(fun() -> element(1, gen_tcp:connect("127.0.0.1", 4369, [])) =:= ok end, 5000),
            Port
    end.
