%% Everything that is not Docker's stays stock Erlang, and one node talks to all of it at a time:
%% containers, nodes with epmd on this and on another machine, nodes at fixed ports, the table.
-module(fallback_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 2}}].

all() -> [{group, without_docker}, {group, with_docker}].

groups() ->
    [
        {without_docker, [], [
            our_module_is_in_use,
            epmd_on_this_machine,
            registers_like_stock,
            fixed_port_and_dns,
            our_own_fixed_port_is_not_another_node,
            node_table,
            table_host_that_moves,
            table_over_ipv6,
            no_docker_at_all
        ]},
        {with_docker, [], [
            all_kinds_of_short_names_at_once,
            all_kinds_of_long_names_at_once
        ]}
    ].

init_per_suite(Config) ->
    {Port, Stop} = epmd(),
    [{epmd, integer_to_list(Port)}, {stop_epmd, Stop} | Config].

end_per_suite(Config) ->
    (?config(stop_epmd, Config))().

init_per_group(without_docker, Config) ->
    Config;
init_per_group(with_docker, Config) ->
    case testbed:engine() of
        ok ->
            _ = testbed:image(),
            case testbed:lab_up([]) of
                ok -> Config;
                Skip -> Skip
            end;
        Skip ->
            Skip
    end.

end_per_group(with_docker, _) ->
    testbed:remove_all(main),
    testbed:lab_down();
end_per_group(_, _) ->
    ok.

%% An epmd of our own, so that the machine's does not matter; a fun that ends it.
epmd() ->
    Port = testbed:free_port(),
    Epmd = open_port({spawn_executable, os:find_executable("epmd")},
        [{args, ["-port", integer_to_list(Port)]}]),
    {os_pid, Pid} = erlang:port_info(Epmd, os_pid),
    testbed:eventually(fun() -> is_listening(Port) end, 5000),
    {Port, fun() -> os:cmd("kill " ++ integer_to_list(Pid)) end}.

is_listening(Port) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, []) of
        {ok, Socket} -> gen_tcp:close(Socket) =:= ok;
        {error, _} -> false
    end.

ours(Config, Args) -> ours(Config, Args, []).

ours(Config, Args, Env) ->
    stock(Config, ["-epmd_module", "epmd_docker" | Args], Env).

%% A node without our module.
stock(Config, Args) -> stock(Config, Args, []).

stock(Config, Args, Env) ->
    testbed:peer(#{args => ["-start_epmd", "false", "-epmd_port", ?config(epmd, Config), "-setcookie", "secret" | Args],
        env => Env}).

connect(Peer, Node) ->
    peer:call(Peer, net_kernel, connect_node, [Node], 15_000).

resolve(Peer, Node) ->
    peer:call(Peer, epmd_docker, resolve, [Node], 15_000).

inetrc(Config, Name, Text) ->
    File = filename:join(?config(priv_dir, Config), Name),
    ok = file:write_file(File, Text),
    ["-kernel", "inetrc", "\"" ++ File ++ "\""].

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    Peer = ours(Config, ["-sname", "ours@localhost"]),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    Stock = stock(Config, ["-sname", "stock@localhost"]),
    ?assertEqual(erl_epmd, peer:call(Stock, net_kernel, epmd_module, [])),
    [testbed:stop(P) || P <- [Peer, Stock]].

epmd_on_this_machine(Config) ->
    Ours = ours(Config, ["-name", "ours@127.0.0.1"]),
    Stock = stock(Config, ["-name", "stock@127.0.0.1"]),
    ?assert(connect(Ours, 'stock@127.0.0.1')),
    ?assertMatch({ok, #{source := epmd, address := {127, 0, 0, 1}}}, resolve(Ours, 'stock@127.0.0.1')),
    ?assertMatch({error, {not_in_epmd, <<"nobody">>, {127, 0, 0, 1}}}, resolve(Ours, 'nobody@127.0.0.1')),
    ?assertNot(connect(Ours, 'nobody@127.0.0.1')),
    ?assertMatch({error, {dns, <<"no-such-host.invalid">>, nxdomain}}, resolve(Ours, 'a@no-such-host.invalid')),
    [testbed:stop(P) || P <- [Ours, Stock]].

%% Without a fixed port our node is in epmd, where a stock node finds it.
registers_like_stock(Config) ->
    Ours = ours(Config, ["-name", "ours@127.0.0.1"]),
    Stock = stock(Config, ["-name", "stock@127.0.0.1"]),
    {ok, Names} = peer:call(Stock, erl_epmd, names, [{127, 0, 0, 1}]),
    ?assertEqual(["ours", "stock"], lists:sort([Name || {Name, _} <- Names])),
    %% Beside what Docker knows on this machine.
    {ok, All} = peer:call(Ours, epmd_docker, names, ["127.0.0.1"]),
    ?assertEqual(lists:sort(Names), [Node || {Name, _} = Node <- All, lists:keymember(Name, 1, Names)]),
    ?assert(connect(Stock, 'ours@127.0.0.1')),
    {Status, Output} = testbed:erl(["-start_epmd", "false", "-epmd_module", "epmd_docker", "-epmd_port",
        ?config(epmd, Config), "-name", "ours@127.0.0.1", "-eval", "halt(0)."], []),
    ?assertMatch({1, [_ | _]}, {Status, string:find(Output, "in use by another Erlang node")}),
    [testbed:stop(P) || P <- [Ours, Stock]].

fixed_port_and_dns(Config) ->
    Port = integer_to_list(testbed:free_port()),
    Fixed = stock(Config, ["-name", "fixed@127.0.0.1", "-erl_epmd_port", Port]),
    Rc = inetrc(Config, "fixed.inetrc", "{lookup, [file]}. {host, {127,0,0,1}, [\"fixed.example.com\"]}.\n"),
    Ours = ours(Config, ["-name", "ours@127.0.0.1" | Rc], [{"EPMD_DOCKER_REMOTE_PORT", Port}]),
    ?assert(connect(Ours, 'fixed@127.0.0.1')),
    Expected = list_to_integer(Port),
    ?assertMatch({ok, #{source := fixed_port, address := {127, 0, 0, 1}, port := Expected}},
        resolve(Ours, 'fixed@fixed.example.com')),
    [testbed:stop(P) || P <- [Fixed, Ours]].

%% One port for all, and another node asked for on our own machine: what listens there is us.
our_own_fixed_port_is_not_another_node(Config) ->
    Ours = ours(Config, ["-name", "ours@127.0.0.1"], [{"ERL_DIST_PORT", integer_to_list(testbed:free_port())}]),
    ?assertMatch({error, {not_in_epmd, <<"other">>, {127, 0, 0, 1}}}, resolve(Ours, 'other@127.0.0.1')),
    {Ms, false} = testbed:elapsed(fun() -> connect(Ours, 'other@127.0.0.1') end),
    ?assert(Ms < 3000, Ms),
    testbed:stop(Ours).

%% Three nodes on three ports of one host, without epmd.
node_table(Config) ->
    Ports = [testbed:free_port(), testbed:free_port(), testbed:free_port()],
    Nodes = ['n1@127.0.0.1', 'n2@127.0.0.1', 'n3@127.0.0.1'],
    Table = lists:zip(Nodes, Ports),
    Spelled = lists:join(" ", [[atom_to_list(N), ":", integer_to_list(P)] || {N, P} <- Table]),
    Peers = [
        ours(Config, ["-name", atom_to_list(N)], [{"ERL_DIST_PORT", integer_to_list(P)} | Env])
     || {{N, P}, Env} <- lists:zip(Table, [[], [{"EPMD_DOCKER_NODES", lists:flatten(Spelled)}], []])
    ],
    [First, Second, Third] = Peers,
    ?assertEqual(length(Nodes), length(peer:call(Second, epmd_docker, list_nodes, []))),
    ok = peer:call(First, epmd_docker, set_nodes, [Table]),
    [ok = peer:call(Third, epmd_docker, add_node, [N, P]) || {N, P} <- Table],
    ?assert(connect(First, 'n2@127.0.0.1')),
    ?assert(connect(Third, 'n1@127.0.0.1')),
    [testbed:eventually(fun() -> length(peer:call(P, erlang, nodes, [])) =:= 2 end, 10_000) || P <- Peers],
    ?assertMatch({ok, #{source := table}}, resolve(First, 'n2@127.0.0.1')),
    ok = peer:call(First, epmd_docker, remove_node, ['n2@127.0.0.1']),
    ?assertMatch({error, {not_in_epmd, <<"n2">>, _}}, resolve(First, 'n2@127.0.0.1')),
    [testbed:stop(P) || P <- Peers].

%% A host in the table is looked up at each use, never frozen.
table_host_that_moves(Config) ->
    Rc = inetrc(Config, "moves.inetrc", "{lookup, [file]}. {hosts_file, \"\"}.\n"),
    Ours = ours(Config, ["-name", "ours@127.0.0.1" | Rc]),
    ok = peer:call(Ours, epmd_docker, add_node, ['moving@somewhere.example.com', 'moving.example.com', 4711]),
    ?assertMatch({error, {dns, <<"moving.example.com">>, _}}, resolve(Ours, 'moving@somewhere.example.com')),
    [
        begin
            ok = peer:call(Ours, inet_db, add_host, [Ip, ["moving.example.com"]]),
            ?assertMatch({ok, #{address := Ip, port := 4711, source := table}}, resolve(Ours, 'moving@somewhere.example.com')),
            ok = peer:call(Ours, inet_db, del_host, [Ip])
        end
     || Ip <- [{127, 0, 0, 1}, {127, 0, 0, 2}]
    ],
    testbed:stop(Ours).

table_over_ipv6(Config) ->
    Port = testbed:free_port(),
    Node = '0123456789ab@::1',
    Server = ours(Config, ["-proto_dist", "eid6_tcp", "-name", atom_to_list(Node)], [{"ERL_DIST_PORT", integer_to_list(Port)}]),
    Client = ours(Config, ["-proto_dist", "inet6_tcp", "-name", "client@::1"]),
    ok = peer:call(Client, epmd_docker, add_node, [Node, {0, 0, 0, 0, 0, 0, 0, 1}, Port]),
    ?assertMatch({ok, #{address := {0, 0, 0, 0, 0, 0, 0, 1}, port := Port, source := table}}, resolve(Client, Node)),
    ?assert(connect(Client, Node)),
    [testbed:stop(P) || P <- [Client, Server]].

%% No socket, no daemon: short names are as in stock Erlang, and a container's name says why not.
no_docker_at_all(Config) ->
    Ours = ours(Config, ["-sname", "ours@localhost"], [{"DOCKER_HOST", "unix:///nonexistent/docker.sock"}]),
    Stock = stock(Config, ["-sname", "stock@localhost"]),
    ?assert(connect(Ours, 'stock@localhost')),
    ?assertEqual({error, {connect, <<"unix:///nonexistent/docker.sock">>, enoent}}, resolve(Ours, 'app@0123456789ab')),
    [testbed:stop(P) || P <- [Ours, Stock]].

%% ---------------------------------------------------------------------------------------------

%% Each with the default epmd port, where the container's epmd is.
all_kinds_of_short_names_at_once(Config) ->
    Id = lists:sublist(testbed:run(main, [], ["erl", "-noinput", "-sname", "app", "-setcookie", "secret"]), 12),
    TablePort = testbed:free_port(),
    Tabled = ours(Config, ["-sname", "tabled@localhost"], [{"ERL_DIST_PORT", integer_to_list(TablePort)}]),
    %% A machine elsewhere, known by DNS, whose node has an epmd: host 1 of the lab.
    Stop = elsewhere("-sname far@far-host"),
    Rc = inetrc(Config, "short.inetrc", "{lookup, [file]}. {host, {10,99,0,1}, [\"far-host\"]}. {host, {127,0,0,1}, [\"localhost\"]}.\n"),
    One = testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "secret",
        "-sname", "one@localhost" | Rc], env => [{"EPMD_DOCKER_NODES", "tabled@localhost:" ++ integer_to_list(TablePort)}]}),
    Nodes = [list_to_atom("app@" ++ Id), 'tabled@localhost', 'far@far-host'],
    [testbed:eventually(fun() -> connect(One, Node) end, 20_000, {Node, resolve(One, Node)}) || Node <- Nodes],
    ?assertEqual(lists:sort(Nodes), lists:sort(peer:call(One, erlang, nodes, []))),
    ?assertEqual([container, table, epmd], [source(One, Node) || Node <- Nodes]),
    Stop(),
    [testbed:stop(P) || P <- [One, Tabled]].

all_kinds_of_long_names_at_once(Config) ->
    Id = lists:sublist(testbed:run(2, ["-p", "12345", "-e", "ERL_LIBS=/opt"], ["sh", "-c",
        "exec erl -noinput -start_epmd false -epmd_module epmd_docker -proto_dist eid_tcp -name $(hostname)@10.99.0.2 -setcookie secret"]), 12),
    TablePort = testbed:free_port(),
    Tabled = ours(Config, ["-name", "tabled@127.0.0.1"], [{"ERL_DIST_PORT", integer_to_list(TablePort)}]),
    Stop = elsewhere("-name far@far.example.com"),
    Rc = inetrc(Config, "long.inetrc", "{lookup, [file]}. {host, {10,99,0,1}, [\"far.example.com\"]}.\n"),
    One = testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "secret",
        "-name", "one@127.0.0.1" | Rc], env => [{"EPMD_DOCKER_NODES", "tabled@127.0.0.1:" ++ integer_to_list(TablePort)}]}),
    Nodes = [list_to_atom(Id ++ "@10.99.0.2"), 'tabled@127.0.0.1', 'far@far.example.com'],
    [testbed:eventually(fun() -> connect(One, Node) end, 20_000, {Node, resolve(One, Node)}) || Node <- Nodes],
    ?assertEqual(lists:sort(Nodes), lists:sort(peer:call(One, erlang, nodes, []))),
    ?assertEqual([published, table, epmd], [source(One, Node) || Node <- Nodes]),
    Stop(),
    [testbed:stop(P) || P <- [One, Tabled]].

source(Peer, Node) ->
    {ok, #{source := Source}} = resolve(Peer, Node),
    Source.

%% A stock node, and its own epmd, in the network of host 1; a fun that ends both.
elsewhere(Flags) ->
    Lab = filename:join([testbed:root(), "test", "support", "lab"]),
    Command = "echo $$; epmd & E=$!; trap 'kill $E 2>/dev/null' EXIT; erl -noinput -start_epmd false -setcookie secret " ++ Flags,
    Port = open_port({spawn_executable, Lab}, [{args, ["exec", "1", "sh", "-c", Command]}, {line, 1000}]),
    Pid = receive {Port, {data, {eol, Line}}} -> Line after 10_000 -> ct:fail(no_node_elsewhere) end,
    fun() -> os:cmd("pkill -TERM -P " ++ Pid) end.
