%% TLS distribution, by examples/tls_mesh as it stands: both naming schemes, certificates checked
%% on both sides, and what the log says where one is not good.
-module(tls_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-define(IMAGE, "epmd_docker_test:tls").
%% What the public image is to a user: an Erlang without our library.
-define(BASE, "epmd_docker_test:erlang").
%% Not the label of testbed:run/3, so that nobody else's clean-up takes these containers.
-define(LABEL, "epmd_docker.test.tls").

suite() -> [{timetrap, {minutes, 2}}].

all() -> [{group, containers}, {group, hosts}].

groups() ->
    [
        {containers, [], [
            our_module_is_in_use,
            mesh_by_container_name,
            stock_protocol,
            one_name_for_the_cluster,
            shell_of_the_example,
            wrong_ca,
            expired,
            wrong_name,
            plain_peer
        ]},
        {hosts, [], [mesh_over_two_hosts, stock_protocol_over_two_hosts]}
    ].

init_per_suite(Config) ->
    case testbed:engine() of
        ok ->
            remove(main),
            {ok, _} = testbed:sh([support("image"), "tiny", ?BASE]),
            Certs = filename:join(?config(priv_dir, Config), "certs"),
            Wrong = filename:join(?config(priv_dir, Config), "wrong"),
            _ = example([], ["build", ?IMAGE, "--build-arg", "BASE=" ++ ?BASE]),
            [_ = example([], ["mk-certs", "ca", Dir]) || Dir <- [Certs, Wrong]],
            [{certs, Certs}, {wrong, Wrong} | Config];
        Skip ->
            Skip
    end.

end_per_suite(_) ->
    remove(main).

init_per_group(containers, Config) ->
    testbed:docker(main, ["network", "create", "--label", ?LABEL, "edt_tls"]),
    Shell = peer(Config, certificate(Config, "shell"), ["-sname", "shell", "-hidden"]),
    [{control, unlinked(Shell)} | Config];
init_per_group(hosts, Config) ->
    _ = testbed:image(),
    case testbed:lab_up([]) of
        ok ->
            {ok, _} = testbed:sh([support("lab"), "load", ?IMAGE]),
            Own = testbed:lab_endpoint(254),
            Control = peer(Config, certificate(Config, Own), ["-name", "control@" ++ Own, "-hidden"]),
            [{control, unlinked(Control)} | Config];
        Skip ->
            Skip
    end.

end_per_group(Group, Config) ->
    testbed:stop(?config(control, Config)),
    case Group of
        hosts -> testbed:lab_down();
        containers -> remove(main)
    end.

end_per_testcase(_, Config) ->
    case ?config(tc_group_properties, Config) of
        [{name, hosts} | _] -> [remove_containers(Host) || Host <- [1, 2]];
        _ -> remove_containers(main)
    end.

%% ---------------------------------------------------------------------------------------------
%% The example's scripts, and the nodes on this machine
%% ---------------------------------------------------------------------------------------------

support(Script) -> filename:join([testbed:root(), "test", "support", Script]).

example(Env, [Script | Args]) ->
    Path = filename:join([testbed:root(), "examples", "tls_mesh", Script]),
    App = "EPMD_DOCKER_APP=" ++ code:lib_dir(epmd_docker),
    case testbed:sh(["env", "IMAGE=" ++ ?IMAGE, App | Env] ++ [Path | Args]) of
        %% docker may warn before it does what it is told.
        {ok, Output} -> lists:last(string:split(Output, "\n", all));
        {error, Why} -> ct:fail({Script, Args, Why})
    end.

in_container(Config, Env, Name) ->
    Flags = ["--label", ?LABEL, "--network", "edt_tls"],
    Line = example(["CERTS=" ++ ?config(certs, Config) | Env], ["run-node", "in-container", Name | Flags]),
    list_to_atom(Line).

on_host(Config, Env, Host) ->
    Address = testbed:lab_endpoint(Host),
    Where = ["DOCKER_HOST=tcp://" ++ Address ++ ":4243", "CERTS=" ++ ?config(certs, Config)],
    list_to_atom(example(Where ++ Env, ["run-node", "on-host", Address, "--label", ?LABEL])).

%% A folder as ssl_dist.conf wants it, with a certificate for Name.
certificate(Config, Name) -> certificate(Config, Name, [], certs).

certificate(Config, Name, Env, Ca) ->
    Certs = ?config(Ca, Config),
    _ = example(Env, ["mk-certs", "node", Certs, Name]),
    Dir = filename:join(Certs, "of_" ++ Name),
    ok = filelib:ensure_path(Dir),
    [{ok, _} = file:copy(filename:join(Certs, From), filename:join(Dir, To))
     || {From, To} <- [{"ca.pem", "ca.pem"}, {Name ++ ".pem", "node.pem"}, {Name ++ ".key", "node.key"}]],
    Dir.

peer(Config, Tls, Flags) -> peer(Config, Tls, Flags, "inet_tls").

peer(Config, Tls, Flags, Proto) -> peer(Config, Tls, Flags, Proto, []).

peer(_Config, Tls, Flags, Proto, Env) ->
    OptFile = filename:join(testbed:root(), "examples/tls_mesh/ssl_dist.conf"),
    testbed:peer(#{
        args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-proto_dist", Proto,
            "-ssl_dist_optfile", OptFile, "-setcookie", "secret" | Flags],
        env => [{"TLS_DIR", Tls} | Env]
    }).

unlinked(Peer) ->
    true = unlink(Peer),
    Peer.

remove(Where) ->
    remove_containers(Where),
    _ = testbed:try_docker(Where, ["network", "rm", "edt_tls"]),
    ok.

remove_containers(Where) ->
    case testbed:try_docker(Where, ["ps", "-aq", "--filter", "label=" ++ ?LABEL]) of
        {ok, [_ | _] = Ids} -> testbed:docker(Where, ["rm", "-f", "-v" | string:lexemes(Ids, "\n")]);
        _ -> ok
    end.

rpc(Config, Node, M, F, A) ->
    peer:call(?config(control, Config), rpc, call, [Node, M, F, A, 10_000], 15_000).

reached(Config, Node) ->
    Control = ?config(control, Config),
    testbed:eventually(fun() -> peer:call(Control, net_kernel, connect_node, [Node], 10_000) end, 20_000,
        {Node, peer:call(Control, epmd_docker, resolve, [Node], 10_000)}),
    ?assertEqual(epmd_docker, rpc(Config, Node, net_kernel, epmd_module, [])).

%% The protocol of Node's connection to Peer: net_address{protocol = P}.
protocol(Config, Node, Peer) ->
    {ok, Nodes} = rpc(Config, Node, net_kernel, nodes_info, []),
    {_, Info} = lists:keyfind(Peer, 1, Nodes),
    {address, Address} = lists:keyfind(address, 1, Info),
    element(4, Address).

meshed(Config, [First | Others] = Nodes) ->
    [reached(Config, Node) || Node <- Nodes],
    [?assertEqual(pong, rpc(Config, Node, net_adm, ping, [First])) || Node <- Others],
    [testbed:eventually(
        fun() -> lists:sort(rpc(Config, Node, erlang, nodes, [])) =:= lists:sort(Nodes -- [Node]) end,
        20_000, Node) || Node <- Nodes],
    [?assertEqual(tls, protocol(Config, A, B)) || A <- Nodes, B <- Nodes, A =/= B],
    ok.

%% ---------------------------------------------------------------------------------------------
%% Name@ContainerRef
%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    Control = ?config(control, Config),
    ?assertEqual(epmd_docker, peer:call(Control, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(Control, epmd_docker, info, [])),
    %% The options of the example are those in force.
    ?assertEqual(verify_peer, proplists:get_value(verify,
        proplists:get_value(client, peer:call(Control, ets, tab2list, [ssl_dist_opts])))).

mesh_by_container_name(Config) ->
    Nodes = [in_container(Config, [], Name) || Name <- ["edt_tls1", "edt_tls2", "edt_tls3"]],
    meshed(Config, Nodes),
    %% In the network the names are in Docker's DNS; on the host only Docker knows them.
    ?assertMatch({ok, #{source := fixed_port}}, rpc(Config, hd(Nodes), epmd_docker, resolve, [lists:last(Nodes)])),
    ?assertMatch({ok, #{source := container}},
        peer:call(?config(control, Config), epmd_docker, resolve, [hd(Nodes)])).

stock_protocol(Config) ->
    Nodes = [in_container(Config, ["PROTO=inet_tls"], Name) || Name <- ["edt_tls4", "edt_tls5"]],
    meshed(Config, Nodes).

%% One certificate for all replicas of a service, whatever they are called.
one_name_for_the_cluster(Config) ->
    Env = ["NAMES=cluster.internal", "OPTFILE=ssl_dist_cluster.conf"],
    [One, Two] = [in_container(Config, Env, Name) || Name <- ["edt_tls6", "edt_tls7"]],
    Log = log(Config, "cluster"),
    Strict = peer(Config, certificate(Config, "strict"), ["-sname", "strict", "-kernel", "logger", testbed:log_of(Log)]),
    %% For a node with ssl_dist.conf that certificate is somebody else's.
    logged(Log, Strict, One, "the certificate that it showed is not for 'edt_tls6'"),
    testbed:stop(Strict),
    %% A node with ssl_dist_cluster.conf takes it, and they take each other's.
    Shown = testbed:docker(main, ["exec", "-e", "ERL_DIST_PORT=0", "edt_tls6", "sh", "-c",
        "erl -noinput -start_epmd false -epmd_module epmd_docker -proto_dist eid_tls -dist_listen false"
        " -ssl_dist_optfile /etc/epmd_docker/ssl_dist_cluster.conf -sname probe -hidden -setcookie secret"
        " -epmd_docker remote_port 12345"
        " -eval \"A = net_adm:ping('" ++ atom_to_list(One) ++ "'),"
        " B = rpc:call('" ++ atom_to_list(One) ++ "', net_adm, ping, ['" ++ atom_to_list(Two) ++ "']),"
        " io:format(\\\"~p~n\\\", [{A, B}]), halt().\""]),
    ?assertNotEqual(nomatch, string:find(Shown, "{pong,pong}"), Shown).

%% As a user types it.
shell_of_the_example(Config) ->
    Node = in_container(Config, [], "edt_tls8"),
    reached(Config, Node),
    Script = filename:join([testbed:root(), "examples", "tls_mesh", "shell"]),
    Command = ["env CERTS='", ?config(certs, Config), "' EPMD_DOCKER_APP='", code:lib_dir(epmd_docker), "' ",
        Script, " ", atom_to_list(Node)],
    terminal:session(lists:flatten(Command), [
        {expect, "(app@edt_tls8)1>"}, {type, "{answer, 40 + 2}.\r"}, {expect, "{answer,42}"}
    ]).

%% ---------------------------------------------------------------------------------------------
%% What is not good is refused, and the log says why
%% ---------------------------------------------------------------------------------------------

log(Config, Name) -> filename:join(?config(priv_dir, Config), Name ++ ".log").

%% Each try fails; the node may still be starting, which gives another line before the right one.
logged(Log, Peer, Node, Text) ->
    testbed:eventually(
        fun() ->
            ?assertNot(peer:call(Peer, net_kernel, connect_node, [Node], 10_000)),
            has_line(Log, Node, Text)
        end, 20_000, {Text, Log}).

%% The line is written a moment after the connection has failed.
has_line(Log, Node, Text) ->
    {ok, Written} = file:read_file(Log),
    Lines = string:split(Written, "\n", all),
    lists:any(
        fun(Line) ->
            string:find(Line, "'" ++ atom_to_list(Node) ++ "'") =/= nomatch andalso
                string:find(Line, Text) =/= nomatch
        end, Lines).

logging(Config, Name, Tls) -> logging(Config, Name, Tls, "inet_tls").

%% A peer that plain nodes keep waiting for two seconds only.
logging(Config, Name, Tls, Proto) ->
    Log = log(Config, Name),
    Peer = peer(Config, Tls, ["-sname", Name, "-kernel", "net_setuptime", "2", "-kernel", "logger", testbed:log_of(Log)],
        Proto, [{"EPMD_DOCKER_TIMEOUT_MS", "1500"}]),
    {Peer, Log}.

wrong_ca(Config) ->
    Good = in_container(Config, [], "edt_tls10"),
    Wrong = in_container(Config, ["CERTS=" ++ ?config(wrong, Config)], "edt_tls11"),
    {Peer, Log} = logging(Config, "ca1", certificate(Config, "ca1")),
    logged(Log, Peer, Wrong, "not signed by a CA in the cacertfile of this node"),
    testbed:stop(Peer),
    %% A folder with the good CA's certificate, and one of its own from the wrong CA.
    Mixed = certificate(Config, "ca2", [], wrong),
    {ok, _} = file:copy(filename:join(?config(certs, Config), "ca.pem"), filename:join(Mixed, "ca.pem")),
    {Stranger, Log2} = logging(Config, "ca2", Mixed),
    logged(Log2, Stranger, Good, "it does not know the CA that signed the certificate of this node"),
    testbed:stop(Stranger).

%% A certificate of no days is good in the second in which it was issued.
expired(Config) ->
    Good = in_container(Config, [], "edt_tls12"),
    Old = in_container(Config, ["DAYS=0"], "edt_tls13"),
    {Peer, Log} = logging(Config, "old1", certificate(Config, "old1")),
    next_second(),
    logged(Log, Peer, Old, "the certificate that it showed has expired"),
    testbed:stop(Peer),
    {Stale, Log2} = logging(Config, "old2", certificate(Config, "old2", ["DAYS=0"], certs)),
    next_second(),
    logged(Log2, Stale, Good, "it says that the certificate of this node has expired"),
    testbed:stop(Stale).

next_second() ->
    Now = erlang:system_time(second),
    testbed:eventually(fun() -> erlang:system_time(second) > Now end, 3000).

wrong_name(Config) ->
    Node = in_container(Config, ["NAMES=somebody.else"], "edt_tls14"),
    {Peer, Log} = logging(Config, "name", certificate(Config, "name")),
    logged(Log, Peer, Node, "is not for 'edt_tls14'"),
    testbed:stop(Peer).

plain_peer(Config) ->
    Plain = in_container(Config, ["PROTO=eid_tcp"], "edt_tls15"),
    Tls = in_container(Config, [], "edt_tls16"),
    {Peer, Log} = logging(Config, "plain1", certificate(Config, "plain1")),
    logged(Log, Peer, Plain, "a node that speaks plain TCP, without TLS, does that"),
    testbed:stop(Peer),
    {Other, Log2} = logging(Config, "plain2", certificate(Config, "plain2"), "inet_tcp"),
    reached(Config, Tls),
    logged(Log2, Other, Tls, "it expects TLS"),
    testbed:stop(Other).

%% ---------------------------------------------------------------------------------------------
%% ContainerId@HostAddr
%% ---------------------------------------------------------------------------------------------

mesh_over_two_hosts(Config) ->
    meshed(Config, [on_host(Config, [], Host) || Host <- [1, 1, 2]]).

stock_protocol_over_two_hosts(Config) ->
    meshed(Config, [on_host(Config, ["PROTO=inet_tls"], Host) || Host <- [1, 2]]).
