%% IPv6 and dual stack between Docker hosts, by examples/ipv6 as it stands: ContainerId@HostAddr with an
%% IPv6 address for the host, engines that are asked over IPv6, and TLS by examples/tls_mesh.
-module(ipv6_hosts_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-import(ipv6_nodes, [address/2, connect/2, connected/2, example/3, ip/1, meshed/4, resolve/2, rpc/5, with_client/3]).

-define(TLS_IMAGE, "epmd_docker_test:ipv6_tls").
%% What the public image is to a user: an Erlang without our library.
-define(BASE, ("epmd_docker_test:ipv6_base_otp" ++ erlang:system_info(otp_release))).

suite() -> [{timetrap, {minutes, 2}}].

all() ->
    [
        our_module_is_in_use,
        mesh_by_ipv6_address,
        stock_protocol,
        shell_of_the_example,
        every_way_to_publish,
        published_on_the_other_family,
        each_family_has_its_binding,
        host_of_the_other_family,
        spelt_in_another_way,
        daemon_at_an_ipv6_address,
        tls_by_ipv6_address,
        tls_with_the_stock_protocol
    ].

init_per_suite(Config) ->
    case testbed:engine() of
        ok ->
            _ = testbed:image(),
            with_lab(Config);
        Skip ->
            Skip
    end.

with_lab(Config) ->
    %% Containers get addresses and, as with IPv4, a way out by NAT. (Newer engines do that unasked.)
    Flags = ["--experimental", "--ip6tables", "--ipv6", "--fixed-cidr-v6=fd9a:10:99::/64"],
    case testbed:lab_up(["--ipv6" | lists:append([["--flag", Flag] || Flag <- Flags])]) of
        ok ->
            Name = "control@" ++ testbed:lab_endpoint6(254),
            Control = ipv6_nodes:control(["-proto_dist", "eid6_tcp", "-name", Name, "-kernel", "inet_dist_listen_min", "0"]),
            [{control, Control} | Config];
        Skip ->
            Skip
    end.

end_per_suite(Config) ->
    testbed:stop(?config(control, Config)),
    testbed:lab_down().

end_per_testcase(_, _) ->
    [ipv6_nodes:remove_containers(Host) || Host <- [1, 2]].

on_host(Env, Host) -> on_host(Env, Host, []).

on_host(Env, Host, Flags) -> on_host("ipv6", "node", ["IMAGE=" ++ testbed:image() | Env], Host, Flags).

on_host(Dir, Script, Env, Host, Flags) ->
    Address = testbed:lab_endpoint6(Host),
    Where = "DOCKER_HOST=tcp://[" ++ Address ++ "]:4243",
    list_to_atom(example(Dir, [Where | Env], [Script, "on-host", Address, "--label", testbed:label() | Flags])).

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) -> ipv6_nodes:is_in_use(?config(control, Config)).

%% A node's host, and where Docker published it over IPv6.
published(Node) ->
    [Id, Host] = string:split(atom_to_list(Node), "@"),
    I = list_to_integer(lists:last(string:lexemes(Host, ":"))),
    Lines = string:lexemes(testbed:docker(I, ["port", Id, "12345/tcp"]), "\n"),
    [Port | _] = [lists:last(string:lexemes(Line, ":")) || Line <- Lines, hd(Line) =:= $[ orelse hd(Line) =:= $:],
    {ip(Host), list_to_integer(Port)}.

mesh_by_ipv6_address(Config) ->
    Nodes = [on_host([], Host) || Host <- [1, 1, 2]],
    meshed(Config, Nodes, tcp, fun published/1),
    {Ip, Port} = published(hd(Nodes)),
    ?assertMatch({ok, #{source := published, address := Ip, port := Port,
        container := #{daemon := <<"tcp://[fd99:10:99::1]:4243">>}}},
        rpc(Config, lists:last(Nodes), epmd_docker, resolve, [hd(Nodes)])).

stock_protocol(Config) ->
    meshed(Config, [on_host(["PROTO=inet6_tcp"], Host) || Host <- [1, 2]], tcp, fun published/1).

shell_of_the_example(Config) ->
    Node = on_host([], 1),
    connected(?config(control, Config), Node),
    ipv6_nodes:typed("ipv6", [], Node).

every_way_to_publish(Config) ->
    Control = ?config(control, Config),
    Address = testbed:lab_endpoint6(2),
    [begin
        Node = on_host(["PUBLISH=" ++ Publish], 2),
        connected(Control, Node),
        {Ip, Port} = published(Node),
        ?assertEqual({Ip, Port, tcp}, address(peer:call(Control, net_kernel, nodes_info, []), Node))
    end || Publish <- ["12345", "4000:12345", "[::]::12345", "[::]:4001:12345", "[" ++ Address ++ "]::12345"]].

%% As the same container is called over the other family.
over_ipv4(Node) ->
    [Id, Host] = string:split(atom_to_list(Node), "@"),
    list_to_atom(Id ++ "@10.99.0." ++ lists:last(string:lexemes(Host, ":"))).

published_on_the_other_family(Config) ->
    Control = ?config(control, Config),
    Four = on_host(["PUBLISH=0.0.0.0::12345"], 2),
    Six = on_host(["PUBLISH=[::]::12345"], 2),
    Loopback = on_host(["PUBLISH=[::1]::12345"], 2),
    connected(Control, Six),
    ?assertEqual({error, {not_published, 12345}}, resolve(Control, Four)),
    ?assertNot(connect(Control, Four)),
    ?assertEqual({error, {loopback_only, 12345}}, resolve(Control, Loopback)),
    with_client(["-name", "four@10.99.0.254"], [], fun(Client) ->
        ?assertMatch({ok, #{address := {10, 99, 0, 2}}}, resolve(Client, over_ipv4(Four))),
        ?assertEqual({error, {not_published, 12345}}, resolve(Client, over_ipv4(Six))),
        ?assertEqual({error, {not_published, 12345}}, resolve(Client, over_ipv4(Loopback)))
    end).

%% Another port for each family; the node listens for both.
each_family_has_its_binding(Config) ->
    Control = ?config(control, Config),
    Node = on_host(["PUBLISH=0.0.0.0:4004:12345"], 2, ["-p", "[::]:4006:12345"]),
    connected(Control, Node),
    ?assertMatch({ok, #{address := {16#fd99, 16#10, 16#99, 0, 0, 0, 0, 2}, port := 4006}}, resolve(Control, Node)),
    with_client(["-name", "four@10.99.0.254"], [], fun(Client) ->
        ?assertMatch({ok, #{address := {10, 99, 0, 2}, port := 4004}}, resolve(Client, over_ipv4(Node)))
    end).

%% Neither a literal of the other family nor a name that has addresses of that one only; nobody has to
%% be told that the port is not published, since it is.
host_of_the_other_family(Config) ->
    Control = ?config(control, Config),
    Node = on_host([], 1),
    connected(Control, Node),
    [Id, Host] = string:split(atom_to_list(Node), "@"),
    ?assertEqual({error, {dns, <<"10.99.0.1">>, eafnosupport}}, resolve(Control, over_ipv4(Node))),
    ?assertNot(connect(Control, over_ipv4(Node))),
    with_client(["-name", "four@10.99.0.254"], [], fun(Client) ->
        ?assertEqual({error, {dns, list_to_binary(Host), eafnosupport}}, resolve(Client, Node)),
        ?assertNot(connect(Client, Node))
    end),
    %% Names, as /etc/hosts of a container has them.
    Names = [{"both.example", "10.99.0.1"}, {"both.example", Host}, {"four.example", "10.99.0.1"}],
    Hosts = lists:append([["--add-host", Name ++ ":" ++ Address] || {Name, Address} <- Names]),
    Asker = testbed:run(2, ["-e", "ERL_LIBS=/opt", "-e", "EPMD_DOCKER_ALLOWED_HOSTS=10.99.0.0/24 fd99::/16" | Hosts], ["sleep", "1000"]),
    Ask = fun(Protocol, Name) -> asked(Asker, Protocol, Id ++ "@" ++ Name) end,
    ?assertMatch({ok, #{address := {16#fd99, 16#10, 16#99, 0, 0, 0, 0, 1}}}, Ask("eid6_tcp", "both.example")),
    ?assertMatch({ok, #{address := {10, 99, 0, 1}}}, Ask("eid_tcp", "both.example")),
    ?assertMatch({ok, #{address := {10, 99, 0, 1}}}, Ask("eid_tcp", "four.example")),
    ?assertEqual({error, {dns, <<"four.example">>, eafnosupport}}, Ask("eid6_tcp", "four.example")).

%% What resolve/1 says in a node in that container.
asked(Container, Protocol, Node) ->
    Eval = "io:format(\"~0p.\", [epmd_docker:resolve('" ++ Node ++ "')]), halt().",
    Printed = testbed:docker(2, ["exec", Container, "erl", "-noinput", "-start_epmd", "false", "-epmd_module", "epmd_docker",
        "-proto_dist", Protocol, "-name", "asker@::1", "-eval", Eval]),
    {ok, Tokens, _} = erl_scan:string(Printed),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term.

%% The same address in other words leads to the container, whose node has another name then.
spelt_in_another_way(Config) ->
    Control = ?config(control, Config),
    Node = on_host([], 1),
    connected(Control, Node),
    [Id, _] = string:split(atom_to_list(Node), "@"),
    Long = list_to_atom(Id ++ "@fd99:10:99:0:0:0:0:1"),
    ?assertEqual(resolve(Control, Node), resolve(Control, Long)),
    ?assertNot(connect(Control, Long)),
    ?assertMatch({error, {dns, <<"::ffff:10.99.0.1">>, eafnosupport}}, resolve(Control, list_to_atom(Id ++ "@::ffff:10.99.0.1"))),
    %% Not in allowed_hosts, so nobody is asked.
    ?assertEqual({error, {host_not_allowed, <<"2001:db8::1">>}}, resolve(Control, list_to_atom(Id ++ "@2001:db8::1"))).

%% Name@ContainerRef with a daemon elsewhere: its address is the one by which it is known.
daemon_at_an_ipv6_address(_Config) ->
    Ip = ip(testbed:lab_endpoint6(1)),
    Daemon = "tcp://[" ++ testbed:lab_endpoint6(1) ++ "]:4243",
    Flags = ["--label", testbed:label()],
    Nodes = [list_to_atom(example("ipv6", ["DOCKER_HOST=" ++ Daemon, "IMAGE=" ++ testbed:image()], ["node", "in-container", Name | More ++ Flags]))
        || {Name, More} <- [{"edt_six20", ["-p", "12345"]}, {"edt_six21", ["--network", "host"]}]],
    with_client(["-proto_dist", "eid6_tcp", "-sname", "six"], [{"DOCKER_HOST", Daemon}], fun(Client) ->
        [connected(Client, Node) || Node <- Nodes],
        ?assertMatch([{ok, #{address := Ip, source := published}}, {ok, #{address := Ip, port := 12345, source := host_network}}],
            [resolve(Client, Node) || Node <- Nodes])
    end).

%% ---------------------------------------------------------------------------------------------
%% TLS: examples/tls_mesh with another protocol
%% ---------------------------------------------------------------------------------------------

tls_by_ipv6_address(Config) -> over_tls(Config, "eid6_tls").

tls_with_the_stock_protocol(Config) -> over_tls(Config, "inet6_tls").

over_tls(Config, Protocol) ->
    {ok, _} = testbed:sh([filename:join([testbed:root(), "test", "support", "image"]), "tiny", ?BASE]),
    Certs = filename:join(?config(priv_dir, Config), "certs"),
    _ = example("tls_mesh", [], ["build", ?TLS_IMAGE, "--build-arg", "BASE=" ++ ?BASE]),
    {ok, _} = testbed:sh([filename:join([testbed:root(), "test", "support", "lab"]), "load", ?TLS_IMAGE]),
    _ = example("tls_mesh", [], ["mk-certs", "ca", Certs]),
    Env = ["CERTS=" ++ Certs, "IMAGE=" ++ ?TLS_IMAGE, "PROTO=" ++ Protocol],
    Nodes = [on_host("tls_mesh", "run-node", Env, Host, []) || Host <- [1, 1, 2]],
    Log = filename:join(?config(priv_dir, Config), Protocol ++ ".log"),
    Control = ipv6_nodes:control(["-proto_dist", "inet6_tls", "-name", "tls@" ++ testbed:lab_endpoint6(254), "-ssl_dist_optfile",
        filename:join([testbed:root(), "examples", "tls_mesh", "ssl_dist.conf"]),
        "-kernel", "logger", testbed:log_of(Log)], [{"TLS_DIR", own_certificate(Certs)}]),
    try
        ?assertEqual(verify_peer, proplists:get_value(verify,
            proplists:get_value(client, peer:call(Control, ets, tab2list, [ssl_dist_opts])))),
        meshed([{control, Control} | Config], Nodes, tls, fun published/1),
        ipv6_nodes:typed("tls_mesh", ["CERTS=" ++ Certs], hd(Nodes)),
        refused(Control, Log, Env)
    after
        testbed:stop(Control)
    end.

own_certificate(Certs) ->
    Own = testbed:lab_endpoint6(254),
    _ = example("tls_mesh", [], ["mk-certs", "node", Certs, "own", Own]),
    Dir = filename:join(Certs, "of_own"),
    ok = filelib:ensure_path(Dir),
    [{ok, _} = file:copy(filename:join(Certs, From), filename:join(Dir, To))
     || {From, To} <- [{"ca.pem", "ca.pem"}, {"own.pem", "node.pem"}, {"own.key", "node.key"}]],
    Dir.

%% A certificate for another address, which differs in its last digit.
refused(Control, Log, Env) ->
    Node = on_host("tls_mesh", "run-node", ["NAMES=" ++ testbed:lab_endpoint6(2) | Env], 1, []),
    testbed:eventually(fun() ->
        ?assertNot(connect(Control, Node)),
        {ok, Text} = file:read_file(Log),
        string:find(Text, "the certificate that it showed is not for '" ++ testbed:lab_endpoint6(1) ++ "'") =/= nomatch
    end, 20_000, Log).
