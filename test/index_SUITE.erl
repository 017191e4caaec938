%% The index: what is answered from memory, on real engines, while containers come, change and go.
%%
%% Names that are known are answered without a request; after an event nothing old is served.
-module(index_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 2}}].

all() ->
    [
        our_module_is_in_use,
        the_local_daemon_is_followed_from_the_boot_on,
        a_known_name_needs_no_request,
        a_restart_gives_its_new_port_at_once,
        renamed,
        paused_and_killed,
        networks_joined_and_left,
        subscribers_are_told,
        health_is_told,
        a_connection_that_fails_makes_a_name_unknown,
        select_knows_the_family,
        what_is_not_there_is_asked_for_once,
        subscribers_by_label_and_host,
        a_subscriber_that_does_not_read,
        a_subscriber_that_is_killed,
        names_from_docker,
        not_watched,
        a_proxy_that_forbids_events,
        {group, hosts}
    ].

groups() -> [{hosts, [], [a_host_that_is_cut_off]}].

init_per_suite(Config) ->
    case testbed:engine() of
        ok ->
            testbed:remove_all(main),
            _ = testbed:image(),
            Config;
        Skip ->
            Skip
    end.

end_per_suite(_) ->
    testbed:remove_all(main).

init_per_group(hosts, Config) ->
    case testbed:lab_up(["--hosts", "1"]) of
        ok -> Config;
        Skip -> Skip
    end.

end_per_group(hosts, _) ->
    testbed:lab_down().

end_per_testcase(a_host_that_is_cut_off, _) ->
    _ = testbed:sh([filename:join([testbed:root(), "test", "support", "lab"]), "mend", "1"]),
    testbed:remove_all(1);
end_per_testcase(_, _) ->
    testbed:remove_all(main).

shell(Env) -> shell(Env, []).

shell(Env, Flags) ->
    testbed:peer(#{args => ["-pa", filename:dirname(code:which(?MODULE)), "-start_epmd", "false", "-epmd_module",
        "epmd_docker", "-setcookie", "secret", "-sname", unique("shell") | Flags], env => Env}).

unique(Name) -> Name ++ integer_to_list(erlang:unique_integer([positive])).

%% Nothing listens in there: what is looked at is where it would.
container(Name, Flags) ->
    testbed:run(main, ["--name", Name, "-l", "epmd-docker.port=9171" | Flags], ["sleep", "1000"]).

peek(Peer, Node) -> peer:call(Peer, epmd_docker_nif, peek, [Node, inet]).

resolve(Peer, Node) -> peer:call(Peer, epmd_docker, resolve, [Node], 10_000).

%% Asked for, and then known.
known(Peer, Node) ->
    ?assertMatch({ok, _}, resolve(Peer, Node)),
    testbed:eventually(fun() -> is_known(Peer, Node) end, 5000, {Node, daemons(Peer)}),
    {ok, Found} = resolve(Peer, Node),
    Found.

is_known(Peer, Node) ->
    %% Our own addresses are read anew now and then, and not by a peek.
    _ = resolve(Peer, Node),
    case peek(Peer, Node) of
        {found, _, _} -> true;
        Other -> Other
    end.

daemons(Peer) -> maps:get(daemons, peer:call(Peer, epmd_docker, info, [])).

requests(Peer) -> lists:sum([Requests || #{requests := Requests} <- daemons(Peer)]).

address(Network, Name) ->
    testbed:docker(main, ["inspect", "-f",
        "{{(index .NetworkSettings.Networks \"" ++ Network ++ "\").IPAddress}}", Name]).

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(_Config) ->
    Peer = shell([]),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])),
    testbed:stop(Peer).

%% Nobody has asked for anything yet.
the_local_daemon_is_followed_from_the_boot_on(_Config) ->
    Peer = shell([]),
    testbed:eventually(fun() ->
        case daemons(Peer) of
            [#{watch := following}] -> true;
            Other -> Other
        end
    end, 5000),
    testbed:stop(Peer).

a_known_name_needs_no_request(_Config) ->
    _ = container("edt_known", []),
    Peer = shell([]),
    #{address := Ip} = known(Peer, <<"app@edt_known">>),
    Before = requests(Peer),
    [?assertEqual({ok, Ip, 9171, 6}, peer:call(Peer, epmd_docker, address_please, ["app", "edt_known", inet]))
     || _ <- lists:seq(1, 200)],
    ?assertEqual(Before, requests(Peer)),
    [#{watch := following, known := Known, containers := All}] = daemons(Peer),
    ?assert(Known > 0 andalso All >= Known, {Known, All}),
    testbed:stop(Peer).

%% The time from the engine's event to the new port in an answer from memory, by one clock.
a_restart_gives_its_new_port_at_once(_Config) ->
    Id = container("edt_restart", ["-p", "9171"]),
    _ = container("edt_other", ["-p", "9171"]),
    Peer = shell([{"EPMD_DOCKER_ADDRESS", "published"}]),
    Node = <<"app@edt_restart">>,
    Delays = [begin
        #{port := Port} = known(Peer, Node),
        Test = self(),
        Watcher = spawn_link(fun() ->
            Test ! {self(), peer:call(Peer, ?MODULE, new_port, [Node, Port], 30_000)}
        end),
        testbed:docker(main, ["restart", "-t", "0", Id]),
        {NewPort, Seen} = receive {Watcher, Result} -> Result end,
        ?assertEqual(NewPort, host_port(Id)),
        ?assertNotEqual(Port, NewPort),
        Seen - started(Id)
    end || _ <- lists:seq(1, 5)],
    ct:pal("from the event to the port, in microseconds: ~p", [[Delay div 1000 || Delay <- Delays]]),
    ?assert(lists:max(Delays) < 50_000_000, Delays),
    testbed:stop(Peer).

%% Runs in the peer.
new_port(Node, Port) ->
    case epmd_docker_nif:peek(Node, inet) of
        {found, in_container, #{port := New}} when New =/= Port ->
            {New, os:system_time(nanosecond)};
        _ ->
            %% Keeps what is known of our own addresses young.
            _ = epmd_docker:resolve(<<"app@edt_other">>),
            new_port(Node, Port)
    end.

host_port(Id) ->
    [Line | _] = string:lexemes(testbed:docker(main, ["port", Id, "9171/tcp"]), "\n"),
    list_to_integer(lists:last(string:lexemes(Line, ":"))).

%% When the engine last said that the container has started.
started(Id) ->
    %% Whole seconds; with one to come the client waits for it.
    Until = integer_to_list(os:system_time(second) + 1),
    Lines = testbed:docker(main, ["events", "--since", "1m", "--until", Until, "--filter", "event=start",
        "--filter", "container=" ++ Id, "--format", "{{.TimeNano}}"]),
    list_to_integer(lists:last(string:lexemes(Lines, "\n"))).

renamed(_Config) ->
    Id = container("edt_before", []),
    Peer = shell([]),
    #{address := Ip} = known(Peer, <<"app@edt_before">>),
    testbed:docker(main, ["rename", Id, "edt_after"]),
    testbed:eventually(fun() -> is_known(Peer, <<"app@edt_after">>) end, 5000),
    ?assertEqual(in_container, peek(Peer, <<"app@edt_before">>)),
    ?assertMatch({ok, #{address := Ip}}, resolve(Peer, <<"app@edt_after">>)),
    ?assertEqual({error, no_such_container}, resolve(Peer, <<"app@edt_before">>)),
    testbed:stop(Peer).

paused_and_killed(_Config) ->
    Id = container("edt_paused", []),
    Peer = shell([]),
    Node = <<"app@edt_paused">>,
    [begin
        _ = known(Peer, Node),
        testbed:docker(main, [Away, Id]),
        testbed:eventually(fun() -> peek(Peer, Node) =:= in_container end, 1000),
        ?assertEqual({error, {not_running, State}}, resolve(Peer, Node)),
        testbed:docker(main, [Back, Id]),
        testbed:eventually(fun() -> is_known(Peer, Node) end, 5000)
     end || {Away, State, Back} <- [{"pause", paused, "unpause"}, {"kill", exited, "start"}]],
    testbed:docker(main, ["rm", "-f", Id]),
    testbed:eventually(fun() -> resolve(Peer, Node) =:= {error, no_such_container} end, 5000),
    testbed:stop(Peer).

networks_joined_and_left(_Config) ->
    [testbed:docker(main, ["network", "create", "--label", testbed:label(), Name]) || Name <- ["edt_na", "edt_nb"]],
    Id = container("edt_moving", ["--network", "edt_nb"]),
    Peer = shell([]),
    Node = <<"app@edt_moving">>,
    #{network := <<"edt_nb">>} = known(Peer, Node),
    At = fun(Network) ->
        Expected = address(Network, Id),
        Name = list_to_binary(Network),
        testbed:eventually(fun() ->
            case is_known(Peer, Node) andalso peek(Peer, Node) of
                {found, _, #{via := {container, Name}, address := Ip}} -> inet:ntoa(Ip) =:= Expected;
                Other -> Other
            end
        end, 5000, Network)
    end,
    testbed:docker(main, ["network", "connect", "edt_na", Id]),
    %% Of two the first by name counts.
    At("edt_na"),
    testbed:docker(main, ["network", "disconnect", "edt_na", Id]),
    At("edt_nb"),
    testbed:stop(Peer).

%% Each message once, in order, and to nobody who wants no more.
subscribers_are_told(_Config) ->
    Project = "edt" ++ integer_to_list(erlang:unique_integer([positive])),
    Flags = ["-l", "com.docker.compose.project=" ++ Project, "-l", "com.docker.compose.service=web",
        "-l", "epmd-docker.node=app@web"],
    First = container("edt_sub_a", Flags),
    Peer = shell([]),
    Collector = peer:call(Peer, erlang, spawn, [?MODULE, collector, [#{project => Project}]]),
    Told = fun() -> peer:call(Peer, ?MODULE, told, [Collector]) end,
    Ids = fun() -> [{What, ids(Info)} || {epmd_docker, What, Info} <- Told()] end,
    until_told(Ids, [{snapshot, [First]}]),
    ?assertMatch([{epmd_docker, snapshot, [#{nodes := [<<"app">>], service := <<"web">>,
        container := #{name := <<"edt_sub_a">>}, networks := [{<<"bridge">>, _}]}]}], Told()),
    Second = container("edt_sub_b", Flags),
    _ = container("edt_sub_other", []),
    until_told(Ids, [{snapshot, [First]}, {up, [Second]}]),
    testbed:docker(main, ["rename", First, "edt_sub_c"]),
    testbed:docker(main, ["kill", Second]),
    Before = [{snapshot, [First]}, {up, [Second]}, {changed, [First]}, {down, [Second]}],
    until_told(Ids, Before),
    testbed:docker(main, ["start", Second]),
    until_told(Ids, Before ++ [{up, [Second]}]),
    Collector2 = peer:call(Peer, erlang, spawn, [?MODULE, collector, [#{project => Project}]]),
    testbed:eventually(fun() ->
        case peer:call(Peer, ?MODULE, told, [Collector2]) of
            [{epmd_docker, snapshot, Both}] -> ids(Both) =:= lists:sort([First, Second]);
            Other -> Other
        end
    end, 5000),
    ok = peer:call(Peer, ?MODULE, told_enough, [Collector]),
    testbed:docker(main, ["kill", First]),
    testbed:eventually(fun() -> length(peer:call(Peer, ?MODULE, told, [Collector2])) =:= 2 end, 5000),
    until_told(Ids, Before ++ [{up, [Second]}]),
    testbed:stop(Peer),
    Unwatched = shell([{"EPMD_DOCKER_WATCH", "false"}]),
    ?assertEqual({error, not_watched}, peer:call(Unwatched, epmd_docker, subscribe, [])),
    testbed:stop(Unwatched).

health_is_told(_Config) ->
    Project = unique("edt"),
    Peer = shell([]),
    Collector = peer:call(Peer, erlang, spawn, [?MODULE, collector, [#{project => Project}]]),
    Id = container("edt_health", ["-l", "com.docker.compose.project=" ++ Project, "--health-cmd", "test -e /tmp/well",
        "--health-interval", "0.3s", "--health-retries", "1"]),
    Told = fun() ->
        [{What, Health} || {epmd_docker, What, #{health := Health}} <- peer:call(Peer, ?MODULE, told, [Collector])]
    end,
    until_told(Told, [{up, starting}, {changed, unhealthy}]),
    testbed:docker(main, ["exec", Id, "sh", "-c", ": > /tmp/well"]),
    until_told(Told, [{up, starting}, {changed, unhealthy}, {changed, healthy}]),
    testbed:stop(Peer).

%% Nothing listens in that container: the first connection is sent there from memory, and the next
%% one asks.
a_connection_that_fails_makes_a_name_unknown(_Config) ->
    _ = container("edt_refused", []),
    Peer = shell([]),
    _ = known(Peer, <<"app@edt_refused">>),
    Before = requests(Peer),
    ?assertEqual(false, peer:call(Peer, net_kernel, connect_node, ['app@edt_refused'])),
    testbed:eventually(fun() -> requests(Peer) > Before end, 2000, daemons(Peer)),
    testbed:eventually(fun() -> is_known(Peer, <<"app@edt_refused">>) end, 5000),
    testbed:stop(Peer).

%% Published on IPv6 alone, and not reached in another way.
select_knows_the_family(_Config) ->
    _ = container("edt_only6", ["-p", "[::]::9171"]),
    Peer = shell([{"EPMD_DOCKER_ADDRESS", "published"}]),
    Select = fun(Family) -> peer:call(Peer, epmd_docker_select, select, ["app", "edt_only6", Family]) end,
    ?assertEqual({true, true}, {Select(inet), Select(inet6)}),
    Known6 = fun() ->
        _ = peer:call(Peer, epmd_docker, address_please, ["app", "edt_only6", inet6]),
        element(1, peer:call(Peer, epmd_docker_nif, peek, [<<"app@edt_only6">>, inet6])) =:= found
    end,
    testbed:eventually(Known6, 5000, peer:call(Peer, epmd_docker, address_please, ["app", "edt_only6", inet6])),
    ?assertEqual({false, true}, {Select(inet), Select(inet6)}),
    testbed:stop(Peer).

what_is_not_there_is_asked_for_once(_Config) ->
    Peer = shell([]),
    Node = <<"app@edt_to_come">>,
    Ask = fun() -> peer:call(Peer, epmd_docker_lookup, find, ["app", "edt_to_come", inet, 5000]) end,
    testbed:eventually(fun() -> [#{watch := W}] = daemons(Peer), W =:= following end, 5000),
    ?assertEqual({error, no_such_container}, Ask()),
    Before = requests(Peer),
    [?assertEqual({error, no_such_container}, Ask()) || _ <- lists:seq(1, 5)],
    ?assertEqual(Before, requests(Peer)),
    _ = container("edt_to_come", []),
    testbed:eventually(fun() -> element(1, resolve(Peer, Node)) =:= ok end, 1000),
    testbed:stop(Peer).

until_told(Ids, Expected) ->
    testbed:eventually(fun() -> case Ids() of Expected -> true; Other -> {Other, Expected} end end, 10_000).

ids(Infos) when is_list(Infos) -> lists:sort([binary_to_list(Id) || #{container := #{id := Id}} <- Infos]);
ids(Info) -> ids([Info]).

%% In the peer: a subscriber that keeps all that it is told.
collector(Options) ->
    ok = epmd_docker:subscribe(Options),
    collect([]).

collect(Messages) ->
    receive
        {told, From} -> From ! {self(), lists:reverse(Messages)}, collect(Messages);
        {enough, From} -> ok = epmd_docker:unsubscribe(), From ! {self(), ok}, collect(Messages);
        Message -> collect([Message | Messages])
    end.

told(Collector) -> ask(Collector, told).

told_enough(Collector) -> ask(Collector, enough).

ask(Collector, What) ->
    Collector ! {What, self()},
    receive {Collector, Answer} -> Answer after 5000 -> error(no_answer) end.

%% Of labels that nobody else looks at too; of several hosts each gives a snapshot.
subscribers_by_label_and_host(_Config) ->
    Blue = container("edt_blue", ["-l", "team=blue", "-l", "tier=db"]),
    Red = container("edt_red", ["-l", "team=red", "-l", "tier=db"]),
    Peer = shell([]),
    Snapshots = fun(Options) ->
        Collector = peer:call(Peer, erlang, spawn, [?MODULE, collector, [Options]]),
        testbed:eventually(fun() -> peer:call(Peer, ?MODULE, told, [Collector]) =/= [] end, 5000),
        [ids(All) || {epmd_docker, snapshot, All} <- peer:call(Peer, ?MODULE, told, [Collector])]
    end,
    ?assertEqual([[Blue]], Snapshots(#{labels => #{<<"team">> => <<"blue">>}})),
    ?assertEqual([lists:sort([Blue, Red])], Snapshots(#{labels => [{"tier", "db"}], hosts => [undefined]})),
    ?assertEqual([[Red]], Snapshots(#{labels => #{tier => db, "team" => "red"}})),
    ?assertEqual([[]], Snapshots(#{labels => #{"team" => ""}})),
    ?assertEqual([[]], Snapshots(#{labels => #{"team" => "blue"}, project => "none"})),
    [?assertEqual({error, {bad_subscription, Bad}}, peer:call(Peer, epmd_docker, subscribe, [Bad]))
     || Bad <- [#{labels => a}, #{labels => [a]}, #{labels => #{1 => 2}}, #{hosts => []}, #{hosts => a},
            #{hosts => [1]}, #{hosts => [undefined], host => undefined}, #{labels => [{"a", "b"} | c]}]],
    %% One host that may not be asked, and there is no subscription.
    ?assertEqual({error, {host_not_allowed, <<"203.0.113.7">>}},
        peer:call(Peer, epmd_docker, subscribe, [#{hosts => [undefined, {203, 0, 113, 7}]}])),
    testbed:stop(Peer).

%% Its mailbox does not grow, nobody else waits, and when it reads again it hears what is true then.
a_subscriber_that_does_not_read(_Config) ->
    Peer = shell([]),
    Flags = ["-l", "edt=unread"],
    First = container("edt_unread_a", Flags),
    Node = <<"app@edt_unread_a">>,
    _ = known(Peer, Node),
    Collector = peer:call(Peer, erlang, spawn, [?MODULE, collector, [#{labels => #{"edt" => "unread"}}]]),
    Told = fun() -> [{What, ids(Info)} || {epmd_docker, What, Info} <- peer:call(Peer, ?MODULE, told, [Collector])] end,
    until_told(Told, [{snapshot, [First]}]),
    {Keeper, Length} = peer:call(Peer, ?MODULE, stuffed, [Collector, 5000]),
    [begin
        testbed:docker(main, ["restart", "-t", "0", First]),
        ?assertMatch({ok, _}, resolve(Peer, Node))
     end || _ <- lists:seq(1, 3)],
    Second = container("edt_unread_b", Flags),
    testbed:eventually(fun() -> is_known(Peer, <<"app@edt_unread_b">>) end, 5000),
    ?assertEqual({message_queue_len, Length}, peer:call(Peer, erlang, process_info, [Collector, message_queue_len])),
    _ = peer:call(Peer, erlang, send, [Keeper, go_on]),
    testbed:eventually(fun() -> lists:last(Told()) =:= {snapshot, lists:sort([First, Second])} end, 5000),
    testbed:docker(main, ["kill", Second]),
    testbed:eventually(fun() -> lists:last(Told()) =:= {down, [Second]} end, 5000),
    testbed:stop(Peer).

%% In the peer: a subscriber that reads nothing, with so many messages; the process that holds it.
stuffed(Pid, Messages) ->
    Owner = self(),
    Keeper = spawn(fun() ->
        true = erlang:suspend_process(Pid),
        _ = [Pid ! {other, N} || N <- lists:seq(1, Messages)],
        Owner ! {self(), process_info(Pid, message_queue_len)},
        %% It goes on when its keeper ends.
        receive go_on -> ok end
    end),
    receive {Keeper, {message_queue_len, Length}} -> {Keeper, Length} end.

a_subscriber_that_is_killed(_Config) ->
    Peer = shell([]),
    Id = container("edt_survivor", []),
    _ = known(Peer, <<"app@edt_survivor">>),
    Processes = fun() -> length(peer:call(Peer, erlang, processes, [])) end,
    Before = Processes(),
    Collectors = [peer:call(Peer, erlang, spawn, [?MODULE, collector, [#{}]]) || _ <- lists:seq(1, 20)],
    [testbed:eventually(fun() -> peer:call(Peer, ?MODULE, told, [One]) =/= [] end, 5000) || One <- Collectors],
    ?assert(Processes() >= Before + 40),
    _ = [peer:call(Peer, erlang, exit, [One, kill]) || One <- Collectors],
    testbed:eventually(fun() -> Processes() =< Before end, 5000),
    testbed:docker(main, ["restart", "-t", "0", Id]),
    testbed:eventually(fun() -> is_known(Peer, <<"app@edt_survivor">>) end, 5000),
    testbed:stop(Peer).

%% By label, by the labels of several, by a published port; and nothing without an engine.
names_from_docker(_Config) ->
    _ = container("edt_names_a", ["-l", "epmd-docker.node=edt_label@x"]),
    _ = testbed:run(main, ["-l", "epmd-docker.port.edt_one=9181", "-l", "epmd-docker.port.edt_two=9182"], ["sleep", "1000"]),
    Eid = testbed:run(main, ["-p", "12345"], ["sleep", "1000"]),
    Gone = container("edt_names_gone", ["-l", "epmd-docker.node=edt_gone"]),
    testbed:docker(main, ["kill", Gone]),
    Peer = shell([]),
    {ok, Names} = peer:call(Peer, net_adm, names, []),
    ?assertEqual({"edt_label", 9171}, lists:keyfind("edt_label", 1, Names)),
    ?assertEqual({"edt_one", 9181}, lists:keyfind("edt_one", 1, Names)),
    ?assertEqual({"edt_two", 9182}, lists:keyfind("edt_two", 1, Names)),
    ?assertMatch({_, Port} when Port > 1024, lists:keyfind(lists:sublist(Eid, 12), 1, Names)),
    ?assertNot(lists:keymember("edt_gone", 1, Names)),
    ?assertEqual({ok, Names}, peer:call(Peer, epmd_docker, names, [])),
    testbed:stop(Peer),
    Away = shell([{"DOCKER_HOST", "unix:///nowhere/docker.sock"}]),
    {ok, Others} = peer:call(Away, net_adm, names, []),
    ?assertNot(lists:keymember("edt_label", 1, Others)),
    testbed:stop(Away).

%% watch = false: each look-up asks, and nothing else does.
not_watched(_Config) ->
    _ = container("edt_unwatched", []),
    Peer = shell([{"EPMD_DOCKER_WATCH", "false"}]),
    Node = <<"app@edt_unwatched">>,
    {ok, _} = resolve(Peer, Node),
    Before = requests(Peer),
    [{ok, _} = resolve(Peer, Node) || _ <- lists:seq(1, 10)],
    ?assertEqual(Before + 10, requests(Peer)),
    ?assertMatch([#{watch := off, known := 0}], daemons(Peer)),
    ?assertEqual(in_container, peek(Peer, Node)),
    testbed:stop(Peer).

a_proxy_that_forbids_events(Config) ->
    Id = container("edt_proxied", ["-p", "9171"]),
    Log = filename:join(?config(priv_dir, Config), "forbidden.log"),
    Proxy = proxy("/events"),
    Peer = shell([{"DOCKER_HOST", "tcp://127.0.0.1:" ++ integer_to_list(Proxy)}, {"EPMD_DOCKER_ADDRESS", "published"}],
        ["-kernel", "logger", testbed:log_of(Log)]),
    Node = <<"app@edt_proxied">>,
    {ok, _} = resolve(Peer, Node),
    testbed:eventually(fun() ->
        case daemons(Peer) of
            [#{watch := {forbidden, {status, 403, _}}}] -> true;
            Other -> Other
        end
    end, 5000),
    [begin
        Port = host_port(Id),
        ?assertMatch({ok, #{port := Port}}, resolve(Peer, Node)),
        ?assertEqual(in_container, peek(Peer, Node)),
        testbed:docker(main, ["restart", "-t", "0", Id])
     end || _ <- lists:seq(1, 3)],
    testbed:eventually(fun() -> said(Log) =:= 1 end, 5000),
    testbed:stop(Peer).

said(Log) ->
    {ok, Text} = file:read_file(Log),
    length(string:split(Text, "cannot be had", all)) - 1.

%% The engine without what is Forbidden, one request for each connection; ends with the test.
proxy(Forbidden) ->
    {ok, Listen} = gen_tcp:listen(0, [binary, {active, false}, {packet, line}, {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Listen),
    _ = spawn_link(fun() -> accept(Listen, Forbidden) end),
    Port.

accept(Listen, Forbidden) ->
    case gen_tcp:accept(Listen) of
        {ok, Client} ->
            Pid = spawn(fun() -> receive go -> serve(Client, Forbidden) end end),
            ok = gen_tcp:controlling_process(Client, Pid),
            Pid ! go,
            accept(Listen, Forbidden);
        {error, closed} ->
            ok
    end.

serve(Client, Forbidden) ->
    case gen_tcp:recv(Client, 0) of
        {ok, <<"GET ", _/binary>> = Request} ->
            ok = skip_headers(Client),
            pass(Request, Client, string:find(Request, Forbidden));
        {error, closed} ->
            ok
    end,
    gen_tcp:close(Client).

skip_headers(Client) ->
    case gen_tcp:recv(Client, 0) of
        {ok, <<"\r\n">>} -> ok;
        {ok, _} -> skip_headers(Client)
    end.

pass(Request, Client, nomatch) ->
    {ok, Engine} = gen_tcp:connect({local, "/var/run/docker.sock"}, 0, [binary, {active, false}]),
    ok = gen_tcp:send(Engine, [Request, "Host: docker\r\nConnection: close\r\n\r\n"]),
    forward(Engine, Client);
pass(_, Client, _) ->
    gen_tcp:send(Client, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").

forward(Engine, Client) ->
    case gen_tcp:recv(Engine, 0) of
        {ok, Bytes} -> _ = gen_tcp:send(Client, Bytes), forward(Engine, Client);
        {error, closed} -> ok
    end.

%% ---------------------------------------------------------------------------------------------

%% While a host cannot be reached what was last known serves, and says so. Nothing of it is left
%% when the host is back.
a_host_that_is_cut_off(_Config) ->
    Lab = filename:join([testbed:root(), "test", "support", "lab"]),
    Id = testbed:run(1, ["-p", "12345"], ["sleep", "1000"]),
    Node = iolist_to_binary([lists:sublist(Id, 12), "@", testbed:lab_endpoint(1)]),
    Peer = testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-proto_dist", "eid_tcp",
        "-name", unique("control") ++ "@10.99.0.254", "-kernel", "inet_dist_listen_min", "0"]}),
    #{port := Port} = known(Peer, Node),
    {ok, _} = testbed:sh([Lab, "cut", "1"]),
    testbed:eventually(fun() ->
        case resolve(Peer, Node) of
            {ok, #{stale := true, port := Port}} -> true;
            Other -> Other
        end
    end, 40_000),
    {ok, _} = testbed:sh([Lab, "on", "1", "docker", "restart", "-t", "0", Id]),
    {ok, _} = testbed:sh([Lab, "mend", "1"]),
    testbed:eventually(fun() -> is_known(Peer, Node) end, 40_000),
    {ok, #{port := New} = Found} = resolve(Peer, Node),
    ?assertNot(is_map_key(stale, Found)),
    ?assertNotEqual(Port, New),
    testbed:stop(Peer).
