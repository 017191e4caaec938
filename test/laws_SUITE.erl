%% The laws (docs/architecture.md): net_kernel never waits, and nothing that Docker, a node name
%% or a caller says stops a node or leaves anything behind in it. Real nodes in both modes,
%% scripted engines (for what a real one cannot be made to do).
-module(laws_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 3}}].

all() -> [{group, interactive}, {group, embedded}].

groups() ->
    Laws = [
        our_module_is_in_use,
        net_kernel_never_waits_for_docker,
        net_kernel_never_waits_for_dns,
        an_ordinary_short_name_survives_a_hanging_daemon,
        a_connect_asks_docker_once,
        no_answer_of_an_engine_harms_the_node,
        an_engine_that_comes_back_is_used_again,
        no_node_name_harms_the_node,
        no_argument_harms_the_node,
        nothing_is_left_behind,
        no_late_answer_reaches_the_asker,
        a_dead_asker_ends_its_lookup
    ],
    [{interactive, [], Laws}, {embedded, [], Laws}].

init_per_suite(Config) ->
    [{boot, testbed:boot_file(?config(priv_dir, Config))} | Config].

end_per_suite(_) -> ok.

init_per_group(Mode, Config) -> [{mode, Mode} | Config].

end_per_group(_, _) -> ok.

%% After a disconnect global sends to the other node, and so connects again from that side at any moment.
-define(BY_HAND, ["-kernel", "dist_auto_connect", "never"]).
-define(ID, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef").

peer(Config, Args, Env) ->
    testbed:peer(#{
        mode => ?config(mode, Config), boot => ?config(boot, Config),
        args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "secret" | Args],
        env => Env
    }).

short(Config, Engine) -> short(Config, Engine, []).

short(Config, Engine, Env) ->
    peer(Config, ["-sname", unique("lawful")], [{"DOCKER_HOST", fake_engine:host(Engine)} | Env]).

%% The machine may have an epmd, which knows a name for a while after its node has gone.
unique(Name) -> Name ++ integer_to_list(erlang:unique_integer([positive])).

%% The node answers, and so do net_kernel and the distribution.
alive(Peer) ->
    ?assert(peer:call(Peer, erlang, is_alive, [])),
    ?assert(is_atom(peer:call(Peer, net_kernel, longnames, []))),
    ?assertEqual([], message_queue(Peer, net_kernel)).

message_queue(Peer, Name) ->
    {messages, Messages} = peer:call(Peer, erlang, process_info,
        [peer:call(Peer, erlang, whereis, [Name]), messages]),
    Messages.

spawn_connect(Peer, Node) ->
    peer:call(Peer, erlang, spawn, [net_kernel, connect_node, [Node]]).

connect(Peer, Node) ->
    peer:call(Peer, net_kernel, connect_node, [Node], 20_000).

%% Sorted times of 100 calls to net_kernel, in microseconds, taken in the peer itself.
net_kernel_times(Peer) ->
    lists:sort([element(1, peer:call(Peer, timer, tc, [net_kernel, longnames, []])) || _ <- lists:seq(1, 100)]).

median(Sorted) -> lists:nth(length(Sorted) div 2, Sorted).

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    Engine = fake_engine:start(fun(_) -> hang end),
    Peer = short(Config, Engine),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assertEqual(?config(mode, Config), peer:call(Peer, code, get_mode, [])),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])),
    testbed:stop(Peer).

%% 20 connects to Docker names wait for a daemon that accepts and says nothing. Both schemes, the
%% stock protocol (whose select/1 calls us inside net_kernel) and ours.
net_kernel_never_waits_for_docker(Config) ->
    Engine = fake_engine:start(fun(_) -> hang end, hang),
    DaemonPort = integer_to_list(fake_engine:port(Engine)),
    Fixed = integer_to_list(testbed:free_port()),
    Env = [{"DOCKER_HOST", fake_engine:host(Engine)}, {"EPMD_DOCKER_DAEMON_PORT", DaemonPort},
        {"EPMD_DOCKER_REMOTE_PORT", Fixed}],
    Ordinary = peer(Config, ["-name", "ordinary@127.0.0.1" | ?BY_HAND], [{"ERL_DIST_PORT", Fixed}]),
    Names = [list_to_atom(io_lib:format("~12.16.0b@127.0.0.1", [I])) || I <- lists:seq(1, 20)],
    [
        begin
            Peer = peer(Config, ["-name", unique("long") ++ "@127.0.0.1" | ?BY_HAND ++ Protocol], Env),
            does_not_wait(Peer, Names, Ordinary, 'ordinary@127.0.0.1'),
            testbed:stop(Peer)
        end
     || Protocol <- [[], ["-proto_dist", "eid_tcp"], ["-proto_dist", "epmd_docker"]]
    ],
    testbed:stop(Ordinary),
    OrdinaryShort = peer(Config, ["-sname", "ordinary@localhost" | ?BY_HAND], [{"ERL_DIST_PORT", Fixed}]),
    Peer = peer(Config, ["-sname", unique("short") ++ "@localhost" | ?BY_HAND], Env),
    ShortNames = [list_to_atom("app@box" ++ integer_to_list(I)) || I <- lists:seq(1, 20)],
    does_not_wait(Peer, ShortNames, OrdinaryShort, 'ordinary@localhost'),
    testbed:stop(Peer),
    testbed:stop(OrdinaryShort).

does_not_wait(Peer, Slow, OrdinaryPeer, Ordinary) ->
    Before = net_kernel_times(Peer),
    {ConnectBefore, true} = testbed:elapsed(fun() -> connect(Peer, Ordinary) end),
    true = peer:call(Peer, erlang, disconnect_node, [Ordinary]),
    %% While the net_kernel of either side still has the old connection, a new one may wait for its
    %% end until its own time is up; nodes/1 knows of that end before it does.
    [testbed:eventually(fun() -> peer:call(Side, ets, tab2list, [sys_dist]) =:= [] end, 5000)
     || Side <- [Peer, OrdinaryPeer]],
    Idle = asked(Peer),
    Pids = [spawn_connect(Peer, Node) || Node <- Slow],
    testbed:eventually(fun() -> asked(Peer) > Idle end, 3000),
    During = net_kernel_times(Peer),
    {ConnectDuring, true} = testbed:elapsed(fun() -> connect(Peer, Ordinary) end),
    %% They were all still waiting: what was measured was measured meanwhile.
    Waiting = [Pid || Pid <- Pids, peer:call(Peer, erlang, is_process_alive, [Pid])],
    ?assertEqual(20, length(Waiting)),
    ct:pal("net_kernel us: before ~p/~p, during ~p/~p (median/slowest); connect ms: ~p, ~p",
        [median(Before), lists:last(Before), median(During), lists:last(During), ConnectBefore, ConnectDuring]),
    ?assert(median(During) < median(Before) + 1000),
    ?assert(lists:last(During) < 200_000, During),
    ?assert(ConnectDuring < ConnectBefore + 200),
    testbed:eventually(fun() ->
        [] =:= [Pid || Pid <- Pids, peer:call(Peer, erlang, is_process_alive, [Pid])]
    end, 15_000),
    alive(Peer).

in_flight(Peer) ->
    #{daemons := Daemons} = peer:call(Peer, epmd_docker, info, []),
    lists:sum([N || #{in_flight := N} <- Daemons]).

%% Questions so far, with those that wait for another one's answer.
asked(Peer) ->
    #{daemons := Daemons} = peer:call(Peer, epmd_docker, info, []),
    lists:sum([Requests + Coalesced || #{requests := Requests, coalesced := Coalesced} <- Daemons]).

%% A name server that hears and says nothing.
net_kernel_never_waits_for_dns(Config) ->
    {ok, Silent} = gen_udp:open(0, [{ip, {127, 0, 0, 1}}]),
    {ok, DnsPort} = inet:port(Silent),
    Inetrc = filename:join(?config(priv_dir, Config), "silent.inetrc"),
    ok = file:write_file(Inetrc, io_lib:format(
        "{resolv_conf, \"\"}. {hosts_file, \"\"}. clear_ns. {lookup, [dns]}. {nameserver, {127,0,0,1}, ~b}. {timeout, 3000}. {retry, 3}.~n", [DnsPort])),
    Fixed = integer_to_list(testbed:free_port()),
    Ordinary = peer(Config, ["-name", "ordinary@127.0.0.1"], [{"ERL_DIST_PORT", Fixed}]),
    Peer = peer(Config, ["-name", unique("long") ++ "@127.0.0.1", "-kernel", "inetrc", "\"" ++ Inetrc ++ "\""],
        [{"EPMD_DOCKER_REMOTE_PORT", Fixed}]),
    Names = [list_to_atom("app@slow" ++ integer_to_list(I) ++ ".example.com") || I <- lists:seq(1, 20)],
    Pids = [spawn_connect(Peer, Node) || Node <- Names],
    During = net_kernel_times(Peer),
    {Ms, true} = testbed:elapsed(fun() -> connect(Peer, 'ordinary@127.0.0.1') end),
    ?assertEqual(20, length([Pid || Pid <- Pids, peer:call(Peer, erlang, is_process_alive, [Pid])])),
    ?assert(lists:last(During) < 200_000, During),
    ?assert(Ms < 500, Ms),
    testbed:eventually(fun() ->
        [] =:= [Pid || Pid <- Pids, peer:call(Peer, erlang, is_process_alive, [Pid])]
    end, 15_000),
    ?assertEqual({error, {dns, <<"slow.example.com">>, timeout}},
        peer:call(Peer, epmd_docker, resolve, ['app@slow.example.com'], 10_000)),
    alive(Peer),
    testbed:stop(Peer),
    testbed:stop(Ordinary),
    ok = gen_udp:close(Silent).

%% A short name could be a container's, so Docker is asked; while it hangs, DNS answers.
an_ordinary_short_name_survives_a_hanging_daemon(Config) ->
    Engine = fake_engine:start(fun(_) -> hang end, hang),
    Fixed = integer_to_list(testbed:free_port()),
    Inetrc = filename:join(?config(priv_dir, Config), "elsewhere.inetrc"),
    ok = file:write_file(Inetrc, "{lookup, [file]}. {host, {127,0,0,1}, [\"elsewhere\"]}.\n"),
    Ordinary = peer(Config, ["-sname", "ordinary@elsewhere"], [{"ERL_DIST_PORT", Fixed}]),
    Peer = peer(Config, ["-sname", unique("lawful"), "-kernel", "inetrc", "\"" ++ Inetrc ++ "\""],
        [{"DOCKER_HOST", fake_engine:host(Engine)}, {"EPMD_DOCKER_REMOTE_PORT", Fixed}]),
    {Ms, true} = testbed:elapsed(fun() -> connect(Peer, 'ordinary@elsewhere') end),
    ?assert(Ms < 2000, Ms),
    testbed:stop(Peer),
    testbed:stop(Ordinary).

%% Not in select/1 and again in setup/5, which OTP 29 allows and every other node would wait for.
a_connect_asks_docker_once(Config) ->
    Engine = fake_engine:start(fun(_) -> {404, "{\"message\":\"No such container\"}"} end),
    Peer = short(Config, Engine, [{"EPMD_DOCKER_WATCH", "false"}]),
    Asked = fun(Ask) ->
        Before = length(fake_engine:paths(Engine)),
        _ = Ask(),
        length(fake_engine:paths(Engine)) - Before
    end,
    %% The first also asks for the engine's version.
    _ = peer:call(Peer, epmd_docker, resolve, ['app@first']),
    Resolve = Asked(fun() -> peer:call(Peer, epmd_docker, resolve, ['app@second']) end),
    ?assert(Resolve > 0, Resolve),
    ?assertEqual(Resolve, Asked(fun() -> connect(Peer, 'app@third') end)),
    testbed:stop(Peer).

%% {what the engine does, the reason that the caller gets}
bad_answers() ->
    Good = iolist_to_binary(fake_engine:inspect(?ID)),
    Ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
    Half = binary:part(Good, 0, byte_size(Good) div 2),
    Types = [{<<"\"running\"">>, <<"17">>}, {<<"\"/web\"">>, <<"[]">>}, {<<"\"Ports\":{\"12345/tcp\"">>, <<"\"Ports\":{\"12345/tcp\":5,\"x\"">>}],
    Wrong = [binary:replace(Good, From, To) || {From, To} <- Types],
    [{{200, Body}, bad_response} || Body <- [Half, "", "null", "[]", "17", "{}", "\"x\"", "{\"Id\":", <<255, 254, 0>> | Wrong]] ++
    [
        {{200, lists:duplicate(50_000, $[)}, bad_response},
        {{200, iolist_to_binary(fake_engine:inspect("zz"))}, bad_response},
        {{500, "{\"message\":\"server error\"}"}, status},
        {{503, "out of order"}, status},
        {{401, ""}, status},
        {{403, "{\"message\":\"no\"}"}, status},
        {{429, "slow down"}, status},
        {{301, ""}, status},
        {{204, ""}, any},
        {{close, ""}, connect},
        {{close, "HTTP/1.1 2"}, any},
        {{close, [Ok, "Content-Length: 5000\r\n\r\n", Half]}, any},
        {{close, [Ok, "Transfer-Encoding: chunked\r\n\r\nffff\r\n", Half]}, any},
        {{close, [Ok, "Transfer-Encoding: chunked\r\n\r\nzz\r\n"]}, any},
        {{close, ["SSH-2.0-OpenSSH_9.2\r\n"]}, any},
        {{close, <<0:8000>>}, any},
        {{close, [Ok, lists:duplicate(200_000, $a), ": x\r\n\r\n"]}, any},
        {{open, "HTTP/1.1 200 OK\r\nContent-Len"}, timeout},
        {{open, [Ok, "Content-Length: 5000\r\n\r\n", Half]}, timeout},
        {{open, [Ok, "Content-Length: 99999999999\r\n\r\n{"]}, too_large},
        {{open, [Ok, "\r\n", lists:duplicate(9_000_000, $ )]}, too_large},
        {hang, timeout}
    ].

%% A real node asks each of these engines, and then still speaks to an ordinary node.
no_answer_of_an_engine_harms_the_node(Config) ->
    Table = ets:new(script, [public]),
    Engine = fake_engine:start(fun(_) -> ets:lookup_element(Table, now, 2) end),
    Peer = short(Config, Engine, [{"EPMD_DOCKER_TIMEOUT_MS", "1500"}]),
    [
        begin
            true = ets:insert(Table, {now, Reply}),
            {Ms, {error, Reason}} = testbed:elapsed(fun() -> peer:call(Peer, epmd_docker, resolve, ['app@web'], 10_000) end),
            expected(Expected, Reason, Reply),
            ?assert(Ms < 2500, {Ms, Reply}),
            ?assertNot(connect(Peer, 'app@web')),
            ?assert(is_list(lists:flatten(io_lib:format("~ts", [epmd_docker:format_error(Reason)])))),
            alive(Peer)
        end
     || {Reply, Expected} <- bad_answers()
    ],
    testbed:stop(Peer).

expected(any, _, _) -> ok;
expected(Expected, Reason, Reply) ->
    Kind = if is_tuple(Reason) -> element(1, Reason); true -> Reason end,
    ?assertEqual({Expected, Reply}, {Kind, Reply}).

an_engine_that_comes_back_is_used_again(Config) ->
    Table = ets:new(script, [public]),
    Engine = fake_engine:start(fun(_) -> ets:lookup_element(Table, now, 2) end),
    Peer = short(Config, Engine, [{"EPMD_DOCKER_ADDRESS", "published"}, {"EPMD_DOCKER_REMOTE_PORT", "12345"},
        {"EPMD_DOCKER_TIMEOUT_MS", "700"}]),
    Resolve = fun() -> peer:call(Peer, epmd_docker, resolve, ['app@web'], 10_000) end,
    [
        begin
            true = ets:insert(Table, {now, Bad}),
            ?assertMatch({error, _}, Resolve()),
            true = ets:insert(Table, {now, {200, fake_engine:inspect(?ID)}}),
            testbed:eventually(fun() ->
                case Resolve() of
                    {ok, #{address := {127, 0, 0, 1}, port := 40000, source := published}} -> true;
                    Other -> Other
                end
            end, 1000, Bad)
        end
     || Bad <- [{500, ""}, {close, ""}, hang, {200, "{"}]
    ],
    testbed:stop(Peer).

%% Names that would be dangerous in a URL, a header or a format string, or too long for one.
no_node_name_harms_the_node(Config) ->
    Engine = fake_engine:start(fun(_) -> {404, "{\"message\":\"No such container\"}"} end),
    DaemonPort = integer_to_list(fake_engine:port(Engine)),
    Parts = ["a/b", "a?b", "a#b", "..", "../../_ping", "%2f", "%2e%2e", "a b", "a\"b", "a'b", "a;b", "a\nb",
        "a\r\nHost: x", "a\0b", "a\tb", "a~pb", "a\\b", "a&b=c", [228, 246], [8364], lists:duplicate(240, $a), lists:duplicate(251, $a),
        "", "@", "a@b", "-", ".", "_", "a.", ".a", "{}", "$(id)", "`id`", "a,b", "[::1]", "0123456789ab/json"],
    [
        begin
            Peer = peer(Config, Name, [{"DOCKER_HOST", fake_engine:host(Engine)},
                {"EPMD_DOCKER_DAEMON_PORT", DaemonPort}, {"EPMD_DOCKER_TIMEOUT_MS", "1000"}]),
            [tried(Peer, lists:flatten(Node)) || Part <- Parts, Node <- Nodes(Part), length(lists:flatten(Node)) < 256],
            alive(Peer),
            testbed:stop(Peer)
        end
     || {Name, Nodes} <- [
            {["-sname", unique("lawful")], fun(Part) -> [["app@", Part], [Part, "@web"], Part] end},
            {["-name", unique("lawful") ++ "@127.0.0.1"], fun(Part) ->
                [[Part, "@127.0.0.1"], ["0123456789ab@127.0.0.1", Part], ["0123456789ab@", Part, ".127.0.0.1"]]
            end}
        ]
    ],
    Safe = "^(/v1\\.41)?/(_ping|containers/[A-Za-z0-9][A-Za-z0-9_.-]*/json|containers/json\\?all=(1|true)|events\\?[A-Za-z0-9%=&.]*)$",
    [?assertEqual({Path, match}, {Path, re:run(Path, Safe, [{capture, none}])}) || Path <- fake_engine:paths(Engine)],
    ?assertNotEqual([], fake_engine:paths(Engine)).

tried(Peer, Text) ->
    Node = list_to_atom(Text),
    Result = peer:call(Peer, net_kernel, connect_node, [Node], 20_000),
    ?assertMatch({_, R} when R =:= false; R =:= ignored, {Node, Result}),
    ?assertMatch({_, {error, _}}, {Node, peer:call(Peer, epmd_docker, resolve, [Node], 20_000)}),
    ?assertMatch({_, {error, _}}, {Node, peer:call(Peer, epmd_docker, resolve, [Text], 20_000)}).

%% The callbacks and the API take anything and answer as documented; nothing gets out of them.
no_argument_harms_the_node(Config) ->
    Engine = fake_engine:start(fun(_) -> {404, "{}"} end),
    Peer = short(Config, Engine, [{"EPMD_DOCKER_TIMEOUT_MS", "500"}]),
    Terms = [a, "a", <<"a">>, 'a@b', "a@b", <<"a@b">>, 1, -1, 1.5, [], {}, #{}, [[]], [a], {1, 2, 3, 4},
        {256, 0, 0, 0}, "", <<>>, <<1:3>>, [1 | 2], infinity, self(), make_ref(), fun erlang:node/0, [16#110000],
        <<255>>, 1 bsl 70],
    Call = fun(F, A) -> peer:call(Peer, epmd_docker, F, A, 20_000) end,
    [
        begin
            ?assertMatch({_, {error, _}}, {X, Call(address_please, [X, Y, inet])}),
            ?assertMatch({_, noport}, {{X, Y}, Call(port_please, [X, Y, 200])})
        end
     || X <- Terms, Y <- [lists:nth(1 + erlang:phash2({X, I}, length(Terms)), Terms) || I <- [1, 2]],
        not is_ip(Y)
    ],
    [
        begin
            ?assertMatch({_, {error, _}}, {X, Call(address_please, ["a", "b", X])}),
            ?assertMatch({_, {ok, _}}, {X, Call(names, [X])}),
            ?assertMatch({_, {ok, _}}, {X, Call(listen_port_please, [X, X])}),
            ?assertMatch({_, {error, _}}, {X, Call(resolve, [X])}),
            ?assertMatch({_, {error, _}}, {X, Call(add_node, [X, 0])}),
            ?assertMatch({_, {error, _}}, {X, Call(add_node, [X, {a, b}, 1])}),
            ?assert(X =:= [] orelse element(1, Call(set_nodes, [X])) =:= error, X),
            ?assert(X =:= [] orelse element(1, Call(set_nodes, [[X]])) =:= error, X),
            ?assert(lists:member(Call(remove_node, [X]), [ok]) orelse element(1, Call(remove_node, [X])) =:= error, X),
            ?assert(is_binary(unicode:characters_to_binary(Call(format_error, [X]))), X),
            Subscribed = Call(subscribe, [X]),
            ?assert(X =:= #{} orelse Subscribed =:= {error, {bad_subscription, X}}, {X, Subscribed}),
            ?assertMatch({_, {error, {bad_subscription, _}}}, {X, Call(subscribe, [#{X => a}])}),
            ?assertMatch({_, ok}, {X, Call(unsubscribe, [])})
        end
     || X <- Terms
    ],
    [?assertMatch({_, {error, {bad_subscription, _}}}, {X, Call(subscribe, [#{host => X}])})
     || X <- [1, 1.5, [], {}, #{}, [a], {256, 0, 0, 0}, <<1:3>>, [1 | 2], self(), [16#110000], <<255>>]],
    ?assertEqual({error, {bad_host, "a/b"}}, Call(subscribe, [#{host => "a/b"}])),
    ?assertMatch({error, {host_not_allowed, _}}, Call(subscribe, [#{host => {203, 0, 113, 7}}])),
    ?assertEqual([], Call(list_nodes, [])),
    alive(Peer),
    testbed:stop(Peer).

is_ip({_, _, _, _}) -> true;
is_ip(_) -> false.

%% After many lookups: no process, no message, no atom per name more than before.
nothing_is_left_behind(Config) ->
    Engine = fake_engine:start(fun(_) -> {404, "{}"} end),
    Peer = short(Config, Engine),
    Round = fun() ->
        [{error, _} = peer:call(Peer, epmd_docker, resolve, ["app@none" ++ integer_to_list(I)], 10_000) || I <- lists:seq(1, 200)],
        [false = connect(Peer, list_to_atom("app@node" ++ integer_to_list(I))) || I <- lists:seq(1, 20)]
    end,
    _ = Round(),
    Processes = processes(Peer),
    Atoms = peer:call(Peer, erlang, system_info, [atom_count]),
    _ = Round(),
    testbed:eventually(fun() -> processes(Peer) =< Processes end, 15_000),
    ?assertEqual(Atoms, peer:call(Peer, erlang, system_info, [atom_count])),
    ?assertEqual(0, in_flight(Peer)),
    alive(Peer),
    testbed:stop(Peer).

processes(Peer) -> peer:call(Peer, erlang, system_info, [process_count]).

%% The asker waits for Docker itself. Answers that come just when its patience ends (a quarter of
%% the time) are taken or taken back, and none is in its mailbox later.
no_late_answer_reaches_the_asker(Config) ->
    Engine = fake_engine:start(fun(_) ->
        timer:sleep(95 + rand:uniform(10)),
        {404, "{\"message\":\"No such container\"}"}
    end),
    Peer = short(Config, Engine, [{"EPMD_DOCKER_TIMEOUT_MS", "400"}]),
    {ok, Tokens, _} = erl_scan:string(
        "Asked = [epmd_docker:resolve('app@web') || _ <- lists:seq(1, 20)],"
        "receive after 500 -> ok end,"
        "{Asked, process_info(self(), messages)}."),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, {Asked, Messages}, _} = peer:call(Peer, erl_eval, exprs, [Expressions, []], 30_000),
    ?assertEqual({messages, []}, Messages),
    ?assertEqual([], [Answer || Answer <- Asked, Answer =/= {error, timeout}, Answer =/= {error, {status, 404, <<"No such container">>}}]),
    alive(Peer),
    testbed:stop(Peer).

%% Who asked dies: the worker's job ends with it, long before the time limit.
a_dead_asker_ends_its_lookup(Config) ->
    Engine = fake_engine:start(fun(_) -> hang end),
    Peer = short(Config, Engine, [{"EPMD_DOCKER_TIMEOUT_MS", "6000"}]),
    Before = processes(Peer),
    Pids = [peer:call(Peer, erlang, spawn, [epmd_docker, resolve, ["app@web" ++ integer_to_list(I)]]) || I <- lists:seq(1, 20)],
    testbed:eventually(fun() -> in_flight(Peer) >= 20 end, 3000),
    [true = peer:call(Peer, erlang, exit, [Pid, kill]) || Pid <- Pids],
    testbed:eventually(fun() -> in_flight(Peer) =:= 0 andalso processes(Peer) =< Before end, 3000),
    alive(Peer),
    testbed:stop(Peer).
