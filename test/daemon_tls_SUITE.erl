%% Docker daemons that speak TLS, on hosts of their own: 1 and 2 as `dockerd --tlsverify' has it, 3
%% without TLS, and the certificate of 4 has expired.
-module(daemon_tls_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 2}}].

all() ->
    [
        our_module_is_in_use,
        mesh_over_two_hosts,
        as_docker_host,
        as_a_docker_context,
        certificate_of_the_daemon,
        certificate_of_ours,
        every_kind_of_key,
        files_of_ours,
        no_tls_on_one_side,
        rotated_without_a_restart,
        every_fault_has_its_sentence
    ].

-define(ID, "0123456789ab").
-define(NODE, "-start_epmd false -epmd_module epmd_docker -proto_dist eid_tcp").

init_per_suite(Config) ->
    case testbed:engine() of
        ok -> with_lab(certificates(Config));
        Skip -> Skip
    end.

with_lab(Config) ->
    _ = testbed:image(),
    Tls = [Flag || I <- ["1", "2", "4"], Flag <- ["--tls", I ++ "=" ++ ?config(certs, Config)]],
    case testbed:lab_up(["--hosts", "4", "--port", "2376" | Tls]) of
        ok ->
            Control = control(folder(Config, good)),
            true = unlink(Control),
            [{control, Control} | Config];
        Skip ->
            Skip
    end.

end_per_suite(Config) ->
    testbed:stop(?config(control, Config)),
    testbed:lab_down().

end_per_testcase(_, _) ->
    [testbed:remove_all(Host) || Host <- [1, 2]].

%% ---------------------------------------------------------------------------------------------
%% Certificates, and nodes that use them
%% ---------------------------------------------------------------------------------------------

%% Two CAs, of which the daemons know one. With DAYS=0 a certificate expires a second later, and no
%% engine is up so soon.
certificates(Config) ->
    [Certs, Wrong] = [filename:join(?config(priv_dir, Config), Name) || Name <- ["certs", "wrong"]],
    [mk_certs([], ["ca", Dir]) || Dir <- [Certs, Wrong]],
    [mk_certs([], ["node", Certs, Name]) || Name <- ["client", "renewed" | [address(I) || I <- [1, 2]]]],
    [mk_certs(["DAYS=0"], ["node", Certs, Name]) || Name <- ["expired", address(4)]],
    mk_certs([], ["node", Wrong, "client"]),
    [{certs, Certs}, {wrong, Wrong} | Config].

mk_certs(Env, Args) ->
    Script = filename:join([testbed:root(), "examples", "tls_mesh", "mk-certs"]),
    {ok, _} = testbed:sh(["env" | Env] ++ [Script | Args]).

address(I) -> testbed:lab_endpoint(I).

endpoint(I) -> list_to_binary("tcp://" ++ address(I) ++ ":2376").

%% A folder as docker's own client wants it.
folder(Config, Name) ->
    Dir = filename:join(?config(priv_dir, Config), "of_" ++ atom_to_list(Name)),
    ok = filelib:ensure_path(Dir),
    fill(Config, Dir, Name),
    Dir.

fill(Config, Dir, good) -> put_files(Config, Dir, {certs, "ca"}, {certs, "client"});
fill(Config, Dir, renewed) -> put_files(Config, Dir, {certs, "ca"}, {certs, "renewed"});
fill(Config, Dir, wrong_ca) -> put_files(Config, Dir, {wrong, "ca"}, {certs, "client"});
fill(Config, Dir, wrong_client) -> put_files(Config, Dir, {certs, "ca"}, {wrong, "client"});
fill(Config, Dir, expired_client) -> put_files(Config, Dir, {certs, "ca"}, {certs, "expired"});
fill(Config, Dir, ca_only) -> put_file(Config, {certs, "ca"}, ".pem", Dir, "ca.pem");
fill(_, _, empty) -> ok.

put_files(Config, Dir, Ca, Own) ->
    put_file(Config, Ca, ".pem", Dir, "ca.pem"),
    put_file(Config, Own, ".pem", Dir, "cert.pem"),
    put_file(Config, Own, ".key", Dir, "key.pem").

%% By a rename, as whoever replaces certificates should.
put_file(Config, {From, Name}, Ending, Dir, To) ->
    New = filename:join(Dir, To ++ ".new"),
    {ok, _} = file:copy(filename:join(?config(From, Config), Name ++ Ending), New),
    ok = file:rename(New, filename:join(Dir, To)).

%% A node on this machine that asks the daemons of other hosts with TLS.
control(Dir) ->
    node([{"EPMD_DOCKER_REMOTE_TLS", "true"}, {"EPMD_DOCKER_REMOTE_CERT_PATH", Dir}],
        ["-proto_dist", "eid_tcp", "-name", unique("control") ++ "@" ++ address(254)]).

node(Env, Flags) ->
    testbed:peer(#{env => Env, args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-hidden",
        "-setcookie", "secret", "-kernel", "inet_dist_listen_min", "0" | Flags]}).

unique(Name) -> Name ++ integer_to_list(erlang:unique_integer([positive])).

%% Starts a node in a container of a host, with the good certificates in it.
start(Config, Host, Env) ->
    Flags = ["-p", "12345", "-e", "ERL_LIBS=/opt", "-v", folder(Config, good) ++ ":/certs:ro"],
    Command = "exec erl -noinput " ?NODE " -setcookie secret -name $(hostname)@" ++ address(Host),
    Id = testbed:run(Host, Flags ++ [Word || Set <- Env, Word <- ["-e", Set]], ["sh", "-c", Command]),
    list_to_atom(lists:sublist(Id, 12) ++ "@" ++ address(Host)).

rpc(Config, Node, M, F, A) ->
    peer:call(?config(control, Config), rpc, call, [Node, M, F, A, 10_000], 15_000).

resolve(Peer, Node) -> peer:call(Peer, epmd_docker, resolve, [Node], 10_000).

%% What a node with this folder hears of a container that no daemon has.
asked(Config, Name, Host) -> asked(folder(Config, Name), Host).

asked(Dir, Host) ->
    Peer = control(Dir),
    Answer = resolve(Peer, list_to_atom(?ID "@" ++ address(Host))),
    testbed:stop(Peer),
    Answer.

daemon(Peer, Endpoint) ->
    #{daemons := Daemons} = peer:call(Peer, epmd_docker, info, []),
    [Daemon] = [Daemon || #{daemon := Name} = Daemon <- Daemons, Name =:= Endpoint],
    Daemon.

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    Control = ?config(control, Config),
    ?assertEqual(epmd_docker, peer:call(Control, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded, settings := #{remote_tls := true, docker_tls := false,
        docker_daemon_port := 2376}}, peer:call(Control, epmd_docker, info, [])).

%% One node has settings of ours, the other those of docker's own client, which count for all daemons.
mesh_over_two_hosts(Config) ->
    Ours = ["EPMD_DOCKER_REMOTE_TLS=true", "EPMD_DOCKER_REMOTE_CERT_PATH=/certs"],
    Dockers = ["DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=/certs"],
    Nodes = [A, B] = [start(Config, 1, Ours), start(Config, 2, Dockers)],
    Control = ?config(control, Config),
    [testbed:eventually(fun() -> peer:call(Control, net_kernel, connect_node, [Node], 10_000) end,
        20_000, {Node, resolve(Control, Node)}) || Node <- Nodes],
    ?assertEqual(pong, rpc(Config, A, net_adm, ping, [B])),
    ?assertEqual({[B], [A]}, {rpc(Config, A, erlang, nodes, []), rpc(Config, B, erlang, nodes, [])}),
    true = rpc(Config, B, erlang, disconnect_node, [A]),
    testbed:eventually(fun() -> rpc(Config, A, erlang, nodes, []) =:= [] end, 5000),
    ?assertEqual(pong, rpc(Config, B, net_adm, ping, [A])),
    %% The events come over TLS too.
    [testbed:eventually(fun() ->
        Daemon = daemon(Control, endpoint(Host)),
        #{tls => true, state => up, watch => following} =:= maps:with([tls, state, watch], Daemon)
    end, 10_000, Host) || Host <- [1, 2]].

as_docker_host(Config) ->
    Id = testbed:run(1, ["--name", "edt_tls", "-p", "9100", "-l", "epmd-docker.port=9100"],
        ["erl", "-noinput", "-start_epmd", "false", "-erl_epmd_port", "9100", "-sname", "app@edt_tls",
            "-setcookie", "secret"]),
    %% No port: that of TLS is 2376.
    Peer = node([{"DOCKER_HOST", "tcp://" ++ address(1)}, {"DOCKER_TLS_VERIFY", "1"},
        {"DOCKER_CERT_PATH", folder(Config, good)}], ["-sname", unique("shell")]),
    testbed:eventually(fun() -> peer:call(Peer, net_kernel, connect_node, ['app@edt_tls'], 10_000) end,
        20_000, resolve(Peer, 'app@edt_tls')),
    Expected = list_to_binary(Id),
    ?assertMatch({ok, #{container := #{id := Expected}}}, resolve(Peer, 'app@edt_tls')),
    ?assertMatch(#{tls := true, state := up}, daemon(Peer, endpoint(1))),
    testbed:stop(Peer).

%% docker's own client copies the certificates to where the context is kept.
as_a_docker_context(Config) ->
    Files = folder(Config, good),
    Wrong = folder(Config, wrong_ca),
    ?assertEqual({error, no_such_container}, in_context(Config, Files, Files, true)),
    ?assertEqual({error, {tls, endpoint(1), client_certificate_required}}, in_context(Config, Files, Files, false)),
    ?assertEqual({error, {tls, endpoint(1), unknown_ca}}, in_context(Config, Wrong, Files, true)).

in_context(Config, Ca, Files, Own) ->
    Docker = filename:join(?config(priv_dir, Config), unique("context")),
    Certificate = [[",cert=", Files, "/cert.pem,key=", Files, "/key.pem"] || Own],
    Endpoint = lists:flatten(["host=tcp://", address(1), ":2376,ca=", Ca, "/ca.pem", Certificate]),
    {ok, _} = testbed:sh(["env", "-u", "DOCKER_HOST", "-u", "DOCKER_CONTEXT", "DOCKER_CONFIG=" ++ Docker,
        "docker", "context", "create", "prod", "--docker", Endpoint]),
    Peer = node([{"DOCKER_CONFIG", Docker}, {"DOCKER_CONTEXT", "prod"}], ["-sname", unique("shell")]),
    Answer = resolve(Peer, 'app@no_such_container'),
    ?assertMatch(#{tls := true, source := {docker_context, <<"prod">>}}, daemon(Peer, endpoint(1))),
    testbed:stop(Peer),
    Answer.

certificate_of_the_daemon(Config) ->
    ?assertEqual({error, no_such_container}, asked(Config, good, 1)),
    ?assertEqual({error, {tls, endpoint(1), unknown_ca}}, asked(Config, wrong_ca, 1)),
    ?assertEqual({error, {tls, endpoint(4), expired}}, asked(Config, good, 4)).

%% An older Go says no more than "bad certificate", whatever is wrong with it.
certificate_of_ours(Config) ->
    ?assertEqual({error, {tls, endpoint(1), client_certificate_required}}, asked(Config, ca_only, 1)),
    {error, {tls, _, {client_certificate_refused, Unknown}}} = asked(Config, wrong_client, 1),
    ?assert(lists:member(Unknown, [unknown_ca, bad_certificate]), Unknown),
    {error, {tls, _, {client_certificate_refused, Expired}}} = asked(Config, expired_client, 1),
    ?assert(lists:member(Expired, [expired, bad_certificate]), Expired),
    ct:log("of an unknown CA the daemon says ~p, of an expired certificate ~p", [Unknown, Expired]).

%% Without extensions, which OpenSSL 3.0 makes a certificate of X.509 version 1.
every_kind_of_key(Config) ->
    Dir = folder(Config, good),
    Certs = ?config(certs, Config),
    [begin
        [Key, Request, Cert] = [filename:join(Dir, Name) || Name <- ["key.pem", "request", "cert.pem"]],
        openssl(MakeKey ++ ["-out", Key]),
        openssl(["req", "-new", "-key", Key, "-subj", "/CN=client", "-out", Request]),
        openssl(["x509", "-req", "-in", Request, "-CA", filename:join(Certs, "ca.pem"), "-days", "2",
            "-CAkey", filename:join(Certs, "ca.key"), "-set_serial", "77", "-out", Cert]),
        ?assertEqual({error, no_such_container}, asked(Dir, 1), MakeKey)
    end || MakeKey <- [
        ["genpkey", "-algorithm", "RSA"],
        ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        ["genpkey", "-algorithm", "ED25519"],
        %% PKCS#1.
        ["genrsa", "-traditional"]
    ]].

openssl(Args) ->
    {ok, _} = testbed:sh(["openssl" | Args]).

files_of_ours(Config) ->
    Path = fun(Dir, Name) -> list_to_binary(filename:join(Dir, Name)) end,
    Empty = folder(Config, empty),
    ?assertEqual({error, {tls, endpoint(1), {file, Path(Empty, "ca.pem"), enoent}}}, asked(Empty, 1)),
    Mixed = folder(Config, good),
    put_file(Config, {certs, "renewed"}, ".key", Mixed, "key.pem"),
    ?assertEqual({error, {tls, endpoint(1), {file, Path(Mixed, "key.pem"), key_mismatch}}}, asked(Mixed, 1)),
    put_file(Config, {certs, "client"}, ".pem", Mixed, "key.pem"),
    ?assertEqual({error, {tls, endpoint(1), {file, Path(Mixed, "key.pem"), no_key}}}, asked(Mixed, 1)).

no_tls_on_one_side(Config) ->
    ?assertEqual({error, {tls, endpoint(3), not_tls}}, asked(Config, good, 3)),
    Plain = node([{"EPMD_DOCKER_DAEMON_PORT", "2376"}],
        ["-proto_dist", "eid_tcp", "-name", unique("plain") ++ "@" ++ address(254)]),
    {error, {status, 400, Text}} = resolve(Plain, list_to_atom(?ID "@" ++ address(1))),
    ?assertMatch({_, [_ | _]}, {Text, string:find(binary_to_list(Text), "HTTPS")}),
    testbed:stop(Plain).

%% A node whose certificate is refused is given a good one, then a wrong CA, then a new one: it stays up.
rotated_without_a_restart(Config) ->
    Dir = folder(Config, wrong_client),
    Peer = control(Dir),
    Node = list_to_atom(?ID "@" ++ address(2)),
    OsPid = peer:call(Peer, os, getpid, []),
    ?assertMatch({error, {tls, _, {client_certificate_refused, _}}}, resolve(Peer, Node)),
    ?assertMatch(#{state := {down, {tls, _, _}}}, daemon(Peer, endpoint(2))),
    fill(Config, Dir, good),
    ?assertEqual({error, no_such_container}, resolve(Peer, Node)),
    testbed:eventually(fun() -> following =:= maps:get(watch, daemon(Peer, endpoint(2))) end, 40_000),
    %% Another host is another connection: with what is in the folder then.
    Other = list_to_atom(?ID "@" ++ address(1)),
    fill(Config, Dir, wrong_ca),
    ?assertEqual({error, {tls, endpoint(1), unknown_ca}}, resolve(Peer, Other)),
    fill(Config, Dir, renewed),
    ?assertEqual({error, no_such_container}, resolve(Peer, Other)),
    ?assertEqual(OsPid, peer:call(Peer, os, getpid, [])),
    testbed:stop(Peer).

every_fault_has_its_sentence(_Config) ->
    Files = [{file, <<"/c/ca.pem">>, Why} || Why <- [enoent, eacces, etimedout, not_a_file, too_large,
        no_certificate, no_key, key_mismatch]],
    Refused = [{client_certificate_refused, Why} || Why <- [unknown_ca, expired, revoked, forbidden,
        bad_certificate]],
    Faults = Files ++ Refused ++ [not_tls, closed, timeout, no_common_version, unknown_ca, {wrong_name, []},
        {wrong_name, [<<"host1">>, <<"10.0.0.1">>]}, expired, not_yet_valid, {bad_certificate, <<"why">>},
        client_certificate_required, {alert, <<"InternalError">>}, {other, <<"words">>}],
    Sentences = [lists:flatten(io_lib:format("~ts", [epmd_docker:format_error({tls, endpoint(1), Fault})]))
     || Fault <- Faults],
    [?assertMatch({_, [_ | _]}, {Sentence, string:find(Sentence, binary_to_list(endpoint(1)))}) || Sentence <- Sentences],
    [?assertEqual(nomatch, string:find(Sentence, "{"), Sentence) || Sentence <- Sentences],
    ?assertEqual(length(Faults), length(lists:usort(Sentences))),
    ?assertNotEqual(nomatch, string:find(hd(Sentences), "/c/ca.pem is not there")).
