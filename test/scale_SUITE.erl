%% Many nodes and much going on, on the machine's real engine: a full mesh of 50 nodes in containers,
%% and look-ups that go on while 20 containers are stopped, started, restarted and made anew.
%%
%% EPMD_DOCKER_CHURN_SECONDS says for how long (60), EPMD_DOCKER_MESH how many nodes (50).
-module(scale_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-define(CHURNING, 20).
%% How long an event may be on its way: an answer may be as old. In nanoseconds.
-define(GRACE, 50_000_000).

-define(NEIGHBOURS, "/proc/sys/net/ipv4/neigh/default/gc_thresh[123]").

suite() -> [{timetrap, {minutes, 3 + seconds("EPMD_DOCKER_CHURN_SECONDS", 60) div 60}}].

all() -> [our_module_is_in_use, a_full_mesh_of_fifty_nodes, every_answer_is_right_while_containers_churn].

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

%% Linux keeps 1,024 neighbours for all network namespaces together, and drops what is for others (dmesg:
%% "neighbor table overflow"); in a mesh of 50 each container has 49 of them.
init_per_testcase(a_full_mesh_of_fifty_nodes, Config) ->
    Thresholds = [{File, element(2, {ok, _} = file:read_file(File))} || File <- filelib:wildcard(?NEIGHBOURS)],
    [ok = file:write_file(File, "8192") || {File, _} <- lists:reverse(Thresholds)],
    [{thresholds, Thresholds} | Config];
init_per_testcase(_, Config) ->
    Config.

end_per_testcase(_, Config) ->
    [ok = file:write_file(File, Before) || {File, Before} <- proplists:get_value(thresholds, Config, [])],
    testbed:remove_all(main).

seconds(Variable, Default) ->
    case os:getenv(Variable) of
        false -> Default;
        Text -> list_to_integer(Text)
    end.

%% A node on this machine that joins no mesh.
control(Env) ->
    testbed:peer(#{args => ["-pa", filename:dirname(code:which(?MODULE)), "-start_epmd", "false", "-epmd_module",
        "epmd_docker", "-setcookie", "secret", "-hidden", "-sname", unique("control")], env => Env}).

unique(Name) -> Name ++ integer_to_list(erlang:unique_integer([positive])).

%% Fun of each, so many at a time.
parallel(AtATime, Fun, List) ->
    {Now, Later} = lists:split(min(AtATime, length(List)), List),
    Owner = self(),
    Run = fun(One) -> spawn_link(fun() -> Owner ! {self(), Fun(One)} end) end,
    collect([Run(One) || One <- Now], Later, Run).

collect([], [], _) -> [];
collect([Pid | Pids], Later, Run) ->
    receive
        {Pid, Result} ->
            {More, Rest} = lists:split(min(1, length(Later)), Later),
            [Result | collect(Pids ++ [Run(One) || One <- More], Rest, Run)]
    end.

our_module_is_in_use(_Config) ->
    Peer = control([]),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])),
    testbed:stop(Peer).

%% ---------------------------------------------------------------------------------------------
%% The mesh
%% ---------------------------------------------------------------------------------------------

%% Each connects to all, by names that only Docker knows, all at the same time. No epmd anywhere, and
%% no help from global (connect_all): whom a node has not connected to itself it does not have.
a_full_mesh_of_fifty_nodes(_Config) ->
    Size = seconds("EPMD_DOCKER_MESH", 50),
    testbed:docker(main, ["network", "create", "--label", testbed:label(), "edt_mesh"]),
    Names = ["edt_m" ++ integer_to_list(N) || N <- lists:seq(1, Size)],
    {Started, _} = testbed:elapsed(fun() -> parallel(4, fun start_node/1, Names) end),
    Control = control([]),
    Nodes = [list_to_atom("m@" ++ Name) || Name <- Names],
    [testbed:eventually(fun() -> peer:call(Control, net_kernel, connect_node, [Node], 10_000) end, 30_000, Node)
     || Node <- Nodes],
    {?MODULE, Binary, File} = code:get_object_code(?MODULE),
    Size = length(on_all(Control, Nodes, code, load_binary, [?MODULE, File, Binary])),
    [?assertEqual([], Others) || Others <- on_all(Control, Nodes, erlang, nodes, [])],
    Before = requests(Control, Nodes),
    {Ms, Joined} = testbed:elapsed(fun() -> on_all(Control, Nodes, ?MODULE, join, [Nodes]) end),
    ?assertEqual(lists:duplicate(Size, Size - 1), [length(Others) || Others <- on_all(Control, Nodes, erlang, nodes, [])]),
    After = requests(Control, Nodes),
    Each = [B - A || {A, B} <- lists:zip(Before, After)],
    Pairs = Size * (Size - 1) div 2,
    ct:pal("~b nodes: started in ~.1f s, meshed in ~.1f ms, ~b connects tried again~nengine requests for it: ~b in all, "
        "~.2f for each of ~b connections, at most ~b of a node; before it each ~p", [Size, Started / 1000, Ms,
        lists:sum(Joined), lists:sum(Each), lists:sum(Each) / Pairs, Pairs, lists:max(Each), lists:usort(Before)]),
    %% One about each other node, and a version, a stream and a list of the daemon.
    ?assert(lists:max(Each) =< Size - 1 + 5, Each),
    testbed:stop(Control).

start_node(Name) ->
    testbed:run(main, ["--name", Name, "--network", "edt_mesh", "-e", "ERL_LIBS=/opt", "-e", "ERL_DIST_PORT=9171",
        "-v", "/var/run/docker.sock:/var/run/docker.sock"], ["erl", "-noinput", "-start_epmd", "false",
        "-epmd_module", "epmd_docker", "-setcookie", "secret", "-sname", "m@" ++ Name, "-connect_all", "false"]).

%% In each node: how often a connect had to be tried again. Two that connect to each other at the same
%% moment may both be told that it failed, as in stock Erlang.
join(Nodes) ->
    lists:sum([tried_again(Node, 0) || Node <- Nodes, Node =/= node()]).

tried_again(Node, Tries) when Tries < 100 ->
    case net_kernel:connect_node(Node) of
        true -> Tries;
        false -> receive after 20 -> tried_again(Node, Tries + 1) end
    end.

on_all(Control, Nodes, Module, Function, Arguments) ->
    Results = peer:call(Control, erpc, multicall, [Nodes, Module, Function, Arguments, 60_000], 70_000),
    [Result || {ok, Result} <- Results].

requests(Control, Nodes) ->
    [lists:sum([Requests || #{requests := Requests} <- Daemons])
     || #{daemons := Daemons} <- on_all(Control, Nodes, epmd_docker, info, [])].

%% ---------------------------------------------------------------------------------------------
%% Churn
%% ---------------------------------------------------------------------------------------------

%% What is right is what the engine says: a container and its port or address from its start event to
%% its die event, by the clock of this machine. An error is never wrong.
every_answer_is_right_while_containers_churn(_Config) ->
    Seconds = seconds("EPMD_DOCKER_CHURN_SECONDS", 60),
    Names = ["edt_c" ++ integer_to_list(N) || N <- lists:seq(1, ?CHURNING)],
    Events = follow_events(),
    First = parallel(4, fun make/1, Names),
    Peers = [{Mode, control([{"EPMD_DOCKER_ADDRESS", Mode}])} || Mode <- ["published", "container"]],
    Nodes = [{list_to_binary(Name), list_to_binary("app@" ++ Name)} || Name <- Names],
    Askers = [{Mode, Peer, peer:call(Peer, ?MODULE, asker, [Nodes])} || {Mode, Peer} <- Peers],
    Until = erlang:monotonic_time(second) + Seconds,
    {Even, Odd} = lists:partition(fun({N, _}) -> N rem 2 =:= 0 end, lists:enumerate(First)),
    Later = parallel(2, fun(Mine) -> churn([Run || {_, Run} <- Mine], Until, []) end, [Even, Odd]),
    Answers = [{Mode, peer:call(Peer, ?MODULE, answers, [Asker], 30_000)} || {Mode, Peer, Asker} <- Askers],
    Runs = runs(First ++ lists:append(Later), stop_events(Events)),
    ct:pal("~b runs of ~b containers in ~b s", [length(Runs), ?CHURNING, Seconds]),
    [check(Mode, Asked, Runs) || {Mode, Asked} <- Answers],
    [testbed:stop(Peer) || {_, Peer} <- Peers].

%% A run of a container: {Name, Id, HostPort, Ip}, as the engine says when it has just begun.
make(Name) ->
    run(Name, testbed:run(main, ["--name", Name, "-p", "9171", "-l", "epmd-docker.port=9171"], ["sleep", "1000"])).

run(Name, Id) ->
    Format = "{{(index .NetworkSettings.Ports \"9171/tcp\" 0).HostPort}} {{.NetworkSettings.IPAddress}}",
    [Port, Address] = string:lexemes(testbed:docker(main, ["inspect", "-f", Format, Id]), " "),
    {ok, Ip} = inet:parse_address(Address),
    {list_to_binary(Name), list_to_binary(Id), list_to_integer(Port), Ip}.

churn(Mine, Until, Done) ->
    case erlang:monotonic_time(second) < Until of
        true ->
            {Name, Id, _, _} = Run = lists:nth(rand:uniform(length(Mine)), Mine),
            New = again(rand:uniform(3), binary_to_list(Name), binary_to_list(Id)),
            churn([New | lists:delete(Run, Mine)], Until, [New | Done]);
        false ->
            lists:reverse(Done)
    end.

again(1, Name, Id) ->
    testbed:docker(main, ["restart", "-t", "0", Id]),
    run(Name, Id);
again(2, Name, Id) ->
    testbed:docker(main, ["kill", Id]),
    timer:sleep(rand:uniform(300)),
    testbed:docker(main, ["start", Id]),
    run(Name, Id);
again(3, Name, Id) ->
    testbed:docker(main, ["rm", "-f", Id]),
    make(Name).

%% In the peer: asks for one after the other, until it is asked what it was told. Of each answer only
%% when it was first and last given is kept.
asker(Nodes) ->
    spawn(fun() -> ask(Nodes, Nodes, #{}, fun() -> erlang:system_time(nanosecond) end) end).

ask([], All, Seen, Now) -> ask(All, All, Seen, Now);
ask([{Name, Node} | Nodes], All, Seen, Now) ->
    Asked = Now(),
    Answer = answer(epmd_docker:resolve(Node)),
    Told = Now(),
    Merge = fun({Count, FirstTold, LastAsked, Slowest}) ->
        {Count + 1, FirstTold, max(LastAsked, Asked), max(Slowest, Told - Asked)}
    end,
    More = maps:update_with({Name, Answer}, Merge, {1, Told, Asked, Told - Asked}, Seen),
    receive {answers, From} -> From ! {self(), maps:to_list(More)}
    after 1 -> ask(Nodes, All, More, Now)
    end.

answer({ok, #{stale := true} = Found}) -> {stale, Found};
answer({ok, #{address := Ip, port := Port, container := #{id := Id}}}) -> {Id, Ip, Port};
answer({error, Reason}) -> {error, Reason}.

answers(Asker) ->
    Asker ! {answers, self()},
    receive {Asker, Answers} -> Answers end.

follow_events() ->
    open_port({spawn_executable, os:find_executable("docker")}, [{line, 1000}, {args, ["events",
        "--since", integer_to_list(erlang:system_time(second)), "--filter", "event=start", "--filter", "event=die", "--filter", "label=" ++ testbed:label(),
        "--format", "{{.TimeNano}} {{.Action}} {{.Actor.ID}}"]}]).

%% [{Id, start | die, Nanoseconds}]
stop_events(Port) ->
    %% The last ones are on their way.
    timer:sleep(500),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    %% It closes the port.
    _ = os:cmd("kill " ++ integer_to_list(Pid)),
    events(Port).

events(Port) ->
    receive
        {Port, {data, {eol, Line}}} ->
            [Time, Action, Id] = string:lexemes(Line, " "),
            [{list_to_binary(Id), Action, list_to_integer(Time)} | events(Port)]
    after 0 -> []
    end.

%% Each run with the times of its two events; of a container the n-th run has the n-th of both.
runs(Runs, Events) ->
    Ids = lists:usort([Id || {_, Id, _, _} <- Runs]),
    lists:append([begin
        Times = fun(Wanted) -> [Time || {One, Action, Time} <- Events, One =:= Id, Action =:= Wanted] end,
        Mine = [Run || {_, One, _, _} = Run <- Runs, One =:= Id],
        Starts = Times("start"),
        ?assertEqual(length(Mine), length(Starts), {Id, Mine, Events}),
        Dies = Times("die") ++ [infinity],
        [{Run, Start, Die} || {Run, Start, Die} <- lists:zip3(Mine, Starts, lists:sublist(Dies, length(Mine)))]
    end || Id <- Ids]).

check(Mode, Answers, Runs) ->
    Right = [lag(Mode, Answer, Runs) || {{_, {Id, _, _}}, _} = Answer <- Answers, is_binary(Id)],
    Count = lists:sum([N || {{_, {Id, _, _}}, {N, _, _, _}} <- Answers, is_binary(Id)]),
    Errors = [{Reason, N} || {{_, {error, Reason}}, {N, _, _, _}} <- Answers],
    Slowest = lists:max([Slow || {_, {_, _, _, Slow}} <- Answers]),
    Sums = maps:groups_from_list(fun({Reason, _}) -> Reason end, fun({_, N}) -> N end, Errors),
    ct:pal("~s: ~b answers of ~b kinds; the oldest was true until ~.2f ms before it was asked for; slowest ~b ms~n"
        "errors: ~p", [Mode, Count, length(Right), lists:max(Right) / 1.0e6, Slowest div 1_000_000,
        maps:map(fun(_, Ns) -> lists:sum(Ns) end, Sums)]),
    ?assertEqual([], [Stale || {{_, {stale, _}}, _} = Stale <- Answers]),
    ?assert(length(Right) > ?CHURNING, Answers).

%% How old the answer was when it was last asked for. Wrong is what was never so, or not any more.
lag(Mode, {{Name, {Id, Ip, Port}}, {_, FirstTold, LastAsked, _}} = Answer, Runs) ->
    Mine = [{Start, Die} || {{N, I, HostPort, Own}, Start, Die} <- Runs, N =:= Name, I =:= Id,
        {Ip, Port} =:= expected(Mode, HostPort, Own)],
    ?assertNotEqual([], Mine, {never_so, Answer}),
    {Start, _} = hd(Mine),
    %% The engine says so in an inspect a little before its event.
    ?assert(FirstTold > Start - 1_000_000_000, {too_early, Answer, Mine}),
    {_, Die} = lists:last(Mine),
    Lag = case Die of infinity -> 0; _ -> max(0, LastAsked - Die) end,
    ?assert(Lag =< ?GRACE, {too_old, Lag, Answer, Mine}),
    Lag.

expected("published", HostPort, _) -> {{127, 0, 0, 1}, HostPort};
expected("container", _, Own) -> {Own, 9171}.
