%% examples/mnesia_hosts: a Mnesia table, rpc, erpc, global, pg and monitors between containers of two
%% Docker hosts, and what becomes of them when a container is killed and comes back at another port.
-module(mnesia_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 2}}].

%% The order counts: the last two go on with what is killed in the one before.
all() ->
    [
        our_module_is_in_use,
        table_is_on_every_node,
        rpc_and_erpc,
        global_names_and_locks,
        pg_groups,
        killed_while_another_writes,
        comes_back_at_another_port_and_catches_up,
        everything_again_at_the_new_port
    ].

-define(BASE, ("epmd_docker_test:mnesia_base_otp" ++ erlang:system_info(otp_release))).
-define(IMAGE, ("epmd_docker_test:mnesia_otp" ++ erlang:system_info(otp_release))).

%% ---------------------------------------------------------------------------------------------

init_per_suite(Config) ->
    case testbed:engine() of
        ok ->
            _ = testbed:image(),
            case testbed:lab_up([]) of
                ok -> cluster_up(Config);
                Skip -> Skip
            end;
        Skip ->
            Skip
    end.

end_per_suite(Config) ->
    testbed:stop(?config(control, Config)),
    testbed:lab_down().

cluster_up(Config) ->
    image(),
    Addresses = [testbed:lab_endpoint(I) || I <- [1, 2, 1]],
    {ok, Printed} = testbed:sh(["env", "IMAGE=" ++ ?IMAGE, "FLAGS=--label " ++ testbed:label(),
        example("cluster"), "up" | Addresses]),
    [First, Second, Third] = [list_to_atom(Line) || Line <- string:lexemes(Printed, "\n")],
    Control = testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-proto_dist", "eid_tcp",
        "-name", "control@10.99.0.254", "-hidden", "-setcookie", "secret", "-kernel", "inet_dist_listen_min", "0"]}),
    true = unlink(Control),
    [{control, Control}, {first, First}, {second, Second}, {third, Third}, {nodes, [First, Second, Third]} | Config].

example(File) -> filename:join([testbed:root(), "examples", "mnesia_hosts", File]).

support(Script) -> filename:join([testbed:root(), "test", "support", Script]).

%% The example's own Dockerfile, from what the public image is to a user.
image() ->
    {ok, _} = testbed:sh([support("image"), "tiny", ?BASE, "--with", code:lib_dir(epmd_docker)]),
    _ = testbed:docker(main, ["build", "-q", "--build-arg", "BASE=" ++ ?BASE, "-t", ?IMAGE, example("")]),
    {ok, _} = testbed:sh([support("lab"), "load", ?IMAGE]).

%% ---------------------------------------------------------------------------------------------

rpc(Config, Node, M, F, A) ->
    peer:call(?config(control, Config), rpc, call, [Node, M, F, A, 10_000], 15_000).

%% Until a node gives this answer.
until(Config, Node, Answer, M, F, A) ->
    testbed:eventually(
        fun() ->
            case rpc(Config, Node, M, F, A) of
                Answer -> true;
                Other -> Other
            end
        end, 30_000, {Node, M, F, A, should_be, Answer}).

id_and_host(Node) ->
    [Id, Address] = string:lexemes(atom_to_list(Node), "@"),
    {Id, list_to_integer(lists:last(string:lexemes(Address, ".")))}.

published(Node) ->
    {Id, Host} = id_and_host(Node),
    [Line | _] = string:lexemes(testbed:docker(Host, ["port", Id, "12345/tcp"]), "\n"),
    list_to_integer(lists:last(string:lexemes(Line, ":"))).

others(Config, Node) -> lists:sort(?config(nodes, Config) -- [Node]).

pairs(Config) -> [{A, B} || A <- ?config(nodes, Config), B <- ?config(nodes, Config), A =/= B].

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    ?assertEqual(epmd_docker, peer:call(?config(control, Config), net_kernel, epmd_module, [])),
    [until(Config, Node, epmd_docker, net_kernel, epmd_module, []) || Node <- ?config(nodes, Config)],
    [?assertMatch(#{library := loaded}, rpc(Config, Node, epmd_docker, info, [])) || Node <- ?config(nodes, Config)].

table_is_on_every_node(Config) ->
    #{first := First, second := Second} = maps:from_list(Config),
    Nodes = lists:sort(?config(nodes, Config)),
    [until(Config, Node, Nodes, notes, members, []) || Node <- Nodes],
    [?assertEqual(others(Config, Node), lists:sort(rpc(Config, Node, erlang, nodes, []))) || Node <- Nodes],
    [?assertEqual(Nodes, lists:sort(rpc(Config, Node, mnesia, table_info, [note, disc_copies]))) || Node <- Nodes],
    ?assertEqual(ok, rpc(Config, First, notes, write, [one, "by the first"])),
    ?assertEqual(ok, rpc(Config, Second, notes, write, [two, "by the second"])),
    [?assertEqual([{one, ["by the first"]}, {two, ["by the second"]}], rpc(Config, Node, notes, all, [])) || Node <- Nodes].

rpc_and_erpc(Config) ->
    [begin
        ?assertEqual(B, rpc(Config, A, rpc, call, [B, erlang, node, []])),
        ?assertEqual(B, rpc(Config, A, erpc, call, [B, erlang, node, []]))
    end || {A, B} <- pairs(Config)],
    #{first := First} = maps:from_list(Config),
    Nodes = ?config(nodes, Config),
    ?assertEqual({Nodes, []}, rpc(Config, First, rpc, multicall, [Nodes, erlang, node, []])),
    ?assertEqual([{ok, Node} || Node <- Nodes], rpc(Config, First, erpc, multicall, [Nodes, erlang, node, []])).

%% One keeper of all, a name that leads to its process from everywhere, and one lock for all.
global_names_and_locks(Config) ->
    #{first := First, second := Second} = maps:from_list(Config),
    ?assert(lists:member(agreed_keeper(Config, ?config(nodes, Config)), ?config(nodes, Config))),
    %% A process that has no name yet: global wants one for each.
    Pid = fun(Node) -> rpc(Config, Node, erlang, whereis, [pg]) end,
    ?assertEqual(yes, rpc(Config, Second, global, register_name, [of_second, Pid(Second)])),
    ?assertEqual(Pid(Second), rpc(Config, First, global, whereis_name, [of_second])),
    ?assertEqual(no, rpc(Config, First, global, register_name, [of_second, Pid(First)])),
    %% A lock that every node grants.
    Nodes = ?config(nodes, Config),
    [?assertMatch([_ | _], rpc(Config, Node, global, trans, [{a_lock, self()}, fun notes:all/0, Nodes])) || Node <- Nodes].

%% Two may each have become it, until global has settled that.
agreed_keeper(Config, Nodes) ->
    Keepers = fun() -> lists:usort([rpc(Config, Node, notes, keeper, []) || Node <- Nodes]) end,
    testbed:eventually(
        fun() ->
            case Keepers() of
                [Node] when Node =/= none -> true;
                Several -> Several
            end
        end, 20_000, keeper),
    hd(Keepers()).

pg_groups(Config) ->
    Pids = lists:sort([rpc(Config, Node, erlang, whereis, [notes]) || Node <- ?config(nodes, Config)]),
    [?assertEqual(Pids, lists:sort(rpc(Config, Node, pg, get_members, [notes]))) || Node <- ?config(nodes, Config)],
    [?assertEqual([Node], [node(Pid) || Pid <- rpc(Config, Node, pg, get_local_members, [notes])])
     || Node <- ?config(nodes, Config)].

killed_while_another_writes(Config) ->
    #{second := Second} = maps:from_list(Config),
    Left = others(Config, Second),
    [A, B] = Left,
    make_keeper(Config, Second),
    Before = published(Second),
    {Id, Host} = id_and_host(Second),
    testbed:docker(Host, ["kill", Id]),
    ?assertEqual(ok, rpc(Config, A, notes, write, [three, "while the second was dead"])),
    ?assertEqual(ok, rpc(Config, B, notes, write, [one, "changed"])),
    %% Monitors: of the node, and of the process on it.
    [testbed:eventually(
        fun() -> [{nodedown, Second}, {down, Second, noconnection}] -- rpc(Config, Node, notes, events, []) =:= [] end,
        20_000, {Node, monitors}) || Node <- Left],
    [until(Config, Node, Left, notes, members, []) || Node <- Left],
    ?assertEqual(undefined, rpc(Config, A, global, whereis_name, [of_second])),
    ?assert(lists:member(agreed_keeper(Config, Left), Left)),
    [?assertEqual(Left, lists:sort(rpc(Config, Node, mnesia, system_info, [running_db_nodes]))) || Node <- Left],
    {save_config, [{port, Before}]}.

make_keeper(Config, Node) ->
    Notes = rpc(Config, Node, erlang, whereis, [notes]),
    ?assertEqual(yes, rpc(Config, Node, global, re_register_name, [keeper, Notes, fun global:random_notify_name/3])).

comes_back_at_another_port_and_catches_up(Config) ->
    #{second := Second} = maps:from_list(Config),
    {killed_while_another_writes, [{port, Before}]} = ?config(saved_config, Config),
    {Id, Host} = id_and_host(Second),
    %% Take the old port, so that the engine has to choose another.
    _ = testbed:run(Host, ["-p", integer_to_list(Before) ++ ":12345"], ["sleep", "1000"]),
    testbed:docker(Host, ["start", Id]),
    After = published(Second),
    ?assertNotEqual(Before, After),
    %% This machine's node went to the old port before, and goes to the new one now.
    testbed:eventually(
        fun() -> peer:call(?config(control, Config), net_kernel, connect_node, [Second], 10_000) end, 20_000),
    ?assertMatch({ok, #{port := After, address := {10, 99, 0, 2}, source := published}},
        peer:call(?config(control, Config), epmd_docker, resolve, [Second])),
    Nodes = lists:sort(?config(nodes, Config)),
    [until(Config, Node, Nodes, notes, members, []) || Node <- Nodes],
    Caught = [{one, ["changed"]}, {three, ["while the second was dead"]}, {two, ["by the second"]}],
    ?assertEqual(Caught, rpc(Config, Second, notes, all, [])).

everything_again_at_the_new_port(Config) ->
    rpc_and_erpc(Config),
    global_names_and_locks(Config),
    pg_groups(Config),
    #{second := Second} = maps:from_list(Config),
    ?assertEqual(ok, rpc(Config, Second, notes, write, [four, "back again"])),
    [?assertEqual(["back again"], rpc(Config, Node, notes, read, [four])) || Node <- ?config(nodes, Config)].
