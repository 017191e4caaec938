%% Every exported function of every module takes any term: it gives a value or the exception that is
%% documented for it, in time, and the node lives. Which functions there are is asked of the modules, so
%% a new one is tried as soon as it is exported; until it is listed in contract/3 it may raise nothing.
%%
%% The terms are made here (prop_gen), the calls are made in real nodes (prop_call), whose end is a
%% failure like any other. PROP_TESTS=1000 tries harder.
-module(prop_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

%% A call may wait for Docker and DNS (EPMD_DOCKER_TIMEOUT_MS) or a handshake (net_setuptime), no longer.
-define(LIMIT_MS, 8000).
-define(TESTS, 60).

suite() -> [{timetrap, {minutes, 10}}].

all() -> [{group, short}, {group, long}, {group, without_library}].

groups() ->
    All = [
        our_module_is_in_use,
        the_api_and_the_callbacks_raise_nothing,
        no_other_function_does_more_than_raise,
        a_protocol_does_as_its_stock_twin,
        each_reason_and_each_report_has_a_sentence,
        no_atom_is_made_of_a_text,
        a_time_that_is_none_leaves_nothing_behind
    ],
    [{short, [], All}, {long, [], All}, {without_library, [], All -- [a_protocol_does_as_its_stock_twin]}].

init_per_suite(Config) ->
    case {code:which(proper), os:getenv("REQUIRE_DOCKER")} of
        {non_existing, "1"} -> error(no_proper);
        {non_existing, _} ->
            io:format(user, "~n*** SKIPPED: no PropEr (Debian's erlang-proper) ***~n", []),
            {skip, "no PropEr"};
        _ ->
            _ = application:load(epmd_docker),
            Config
    end.

end_per_suite(_) -> ok.

init_per_group(Group, Config) -> [{group, Group} | Config].

end_per_group(_, _) -> ok.

init_per_testcase(_, Config) ->
    _ = process_flag(trap_exit, true),
    Script = script(?config(group, Config)),
    [{engine, fake_engine:start(fun(_) -> Script end)} | Config].

end_per_testcase(_, Config) ->
    fake_engine:stop(?config(engine, Config)).

%% ---------------------------------------------------------------------------------------------
%% What each function may do
%% ---------------------------------------------------------------------------------------------

%% never: it is not tried. value: nothing is ever raised. {raises, Reasons}: that too, as errors; any is every error. {as, Module}:
%% what Module does with the same arguments.
contract(Module, Function, Arity) ->
    case lists:member(Module, protocols()) of
        true -> protocol(Module, Function, Arity);
        false -> own(Module, Function, Arity)
    end.

protocol(_, select, 1) -> value;
protocol(_, check_epmd_module, 0) -> value;
%% inet6_tls_dist has none.
protocol(_, is_node_name, 1) -> {as, dist_util};
protocol(Module, _, _) -> {as, stock(Module)}.

%% Everything that others call.
%% Of how to show it.
own(epmd_docker, explain, 2) -> {raises, [badarg]};
own(epmd_docker, _, _) -> value;
own(epmd_docker_boot, _, _) -> value;
own(epmd_docker_table, _, _) -> value;
own(epmd_docker_subscription, _, _) -> value;
own(epmd_docker_log, _, _) -> value;
%% A command's, which ends its VM by design.
own(epmd_docker_explain_cli, main, 0) -> never;
own(_, _, 0) -> value;
%% As any BIF does.
own(epmd_docker_nif, Function, _) when Function =/= configure -> {raises, [badarg]};
%% A process's own loop, which ends with it: the one function that is not called here.
own(epmd_docker_notes, loop, 1) -> never;
%% Called by our own modules alone, with what their specs say, and under epmd_docker:guarded/2,3.
own(epmd_docker_address, _, _) -> {raises, any};
own(epmd_docker_ask, _, _) -> {raises, any};
own(epmd_docker_context, _, _) -> {raises, any};
own(epmd_docker_explain_cli, _, _) -> {raises, any};
own(epmd_docker_explain_text, _, _) -> {raises, any};
own(epmd_docker_explain_way, _, _) -> {raises, any};
own(epmd_docker_handshake, _, _) -> {raises, any};
own(epmd_docker_lookup, _, _) -> {raises, any};
own(epmd_docker_names, _, _) -> {raises, any};
own(epmd_docker_options, _, _) -> {raises, any};
own(epmd_docker_probe, _, _) -> {raises, any};
own(epmd_docker_select, Function, Arity) when {Function, Arity} =/= {select, 2} -> {raises, any};
own(epmd_docker_self, _, _) -> {raises, any};
%% Within epmd_docker_options:load/0, which makes bad settings of errors.
own(epmd_docker_setting, _, _) -> {raises, any};
own(epmd_docker_tls, _, _) -> {raises, any};
own(epmd_docker_stats, _, _) -> {raises, any};
own(epmd_docker_stock, _, _) -> {raises, any};
own(epmd_docker_worker, _, _) -> {raises, any};
own(_, _, _) -> value.

protocols() -> [epmd_docker_dist, eid_tcp_dist, eid_tls_dist, eid6_tcp_dist, eid6_tls_dist].

stock(epmd_docker_dist) -> inet_tcp_dist;
stock(eid_tcp_dist) -> inet_tcp_dist;
stock(eid_tls_dist) -> inet_tls_dist;
stock(eid6_tcp_dist) -> inet6_tcp_dist;
stock(eid6_tls_dist) -> inet6_tls_dist.

%% It waits for as long as a handshake may take, by design.
tests({epmd_docker_handshake, watch, _}) -> 2;
tests({_, _, 0}) -> 2;
tests({Module, _, _}) ->
    Tests = list_to_integer(os:getenv("PROP_TESTS", integer_to_list(?TESTS))),
    case lists:member(Module, protocols()) of
        true -> max(5, Tests div 4);
        false -> Tests
    end.

%% ---------------------------------------------------------------------------------------------
%% Nodes
%% ---------------------------------------------------------------------------------------------

%% No container, or the same one for each name.
script(long) -> {200, fake_engine:inspect("0123456789ab" ++ lists:duplicate(52, $0))};
script(_) -> {404, "{\"message\":\"No such container\"}"}.

%% Registering with an epmd that is not there, so that each try is made by the process erl_epmd.
node_of(short, _) -> {["-sname", unique("prop")], [{"ERL_EPMD_PORT", integer_to_list(testbed:free_port())}], #{}};
node_of(long, _) ->
    {["-name", unique("prop") ++ "@127.0.0.1", "-proto_dist", "eid_tcp"],
        [{"ERL_DIST_PORT", integer_to_list(testbed:free_port())}, {"EPMD_DOCKER_WATCH", "false"}], #{}};
node_of(without_library, Config) ->
    {Args, Env, _} = node_of(short, Config),
    Ebin = filename:join([?config(priv_dir, Config), "epmd_docker", "ebin"]),
    ok = filelib:ensure_dir(filename:join(Ebin, "x")),
    [{ok, _} = file:copy(File, filename:join(Ebin, filename:basename(File)))
     || File <- filelib:wildcard(filename:join([code:lib_dir(epmd_docker), "ebin", "*"]))],
    %% Each of these nodes would say on the terminal that it has none.
    {["-kernel", "logger_level", "error" | Args], Env, #{path => ["-pa", Ebin]}}.

unique(Name) -> Name ++ integer_to_list(erlang:unique_integer([positive])).

start(Config) ->
    {Args, Env, More} = node_of(?config(group, Config), Config),
    Log = filename:join(?config(priv_dir, Config), unique("node") ++ ".log"),
    testbed:peer(More#{
        args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "secret", "-kernel", "net_setuptime", "1",
            "-kernel", "logger", testbed:log_of(Log), "-pa", filename:dirname(code:which(?MODULE)) | Args],
        env => [{"DOCKER_HOST", fake_engine:host(?config(engine, Config))}, {"EPMD_DOCKER_TIMEOUT_MS", "100"},
            {"ERL_CRASH_DUMP", "/dev/null/none"} | Env]
    }).

%% The node of this test; another one if a call has ended the last.
node_for(Config) ->
    case get(node_for) of
        undefined -> put_node(Config);
        Peer ->
            case is_process_alive(Peer) of
                true -> Peer;
                false -> put_node(Config)
            end
    end.

put_node(Config) ->
    Peer = start(Config),
    _ = put(node_for, Peer),
    Peer.

%% What came of a call; node_ended where the node did not outlive it.
call(Config, Module, Function, Arguments) ->
    try peer:call(node_for(Config), prop_call, run, [Module, Function, Arguments, ?LIMIT_MS], 2 * ?LIMIT_MS)
    catch
        Class:Reason -> {{node_ended, Class, Reason}, []}
    end.

finish(Config) ->
    Peer = node_for(Config),
    ?assert(peer:call(Peer, erlang, is_alive, [])),
    ?assertMatch({message_queue_len, 0},
        peer:call(Peer, erlang, process_info, [peer:call(Peer, erlang, whereis, [net_kernel]), message_queue_len])),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    testbed:stop(Peer).

%% ---------------------------------------------------------------------------------------------
%% Cases
%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    Peer = node_for(Config),
    #{library := Library} = peer:call(Peer, epmd_docker, info, []),
    ?assertEqual(?config(group, Config) =/= without_library, Library =:= loaded),
    %% All of them, and nobody's list of them.
    ?assert(length(functions(fun(_) -> true end)) > 100),
    ?assertEqual([], protocols() -- [Module || {Module, _, _} <- functions(fun(_) -> true end)]),
    finish(Config).

the_api_and_the_callbacks_raise_nothing(Config) ->
    all_hold(Config, functions(fun(Contract) -> Contract =:= value end)).

no_other_function_does_more_than_raise(Config) ->
    all_hold(Config, functions(fun(Contract) -> is_tuple(Contract) andalso element(1, Contract) =:= raises end)).

a_protocol_does_as_its_stock_twin(Config) ->
    all_hold(Config, functions(fun(Contract) -> is_tuple(Contract) andalso element(1, Contract) =:= as end)).

each_reason_and_each_report_has_a_sentence(Config) ->
    Sentence = fun(Function, Type, Text) ->
        holds(Type, 500, fun(Term) ->
            {{returned, Said}, []} = call(Config, element(1, Function), element(2, Function), [Term]),
            is_binary(unicode:characters_to_binary(Text(Said)))
        end)
    end,
    Sentence({epmd_docker, format_error}, prop_gen:reason(), fun(Said) -> Said end),
    Sentence({epmd_docker_log, format}, prop_gen:report(), fun({Format, _}) -> Format end),
    finish(Config).

%% Names that nobody has used before, in each place of each function; the first round loads modules.
%% list_nodes/0 makes atoms of the node table, which is this node's user's: so nothing is put into it.
no_atom_is_made_of_a_text(Config) ->
    Functions = [MFA || {M, F, _} = MFA <- functions(fun(_) -> true end), not lists:member(M, protocols()),
        F =/= watch, F =/= loop, not lists:member(F, [list, list_nodes])],
    Count = fun() -> peer:call(node_for(Config), erlang, system_info, [atom_count]) end,
    Round = fun() -> [call(Config, M, F, fresh(A, Form)) || {M, F, A} <- Functions, A > 0, Form <- [string, binary]] end,
    _ = Round(),
    Before = Count(),
    _ = Round(),
    ?assertEqual(Before, Count()),
    finish(Config).

%% Found by the_api_and_the_callbacks_raise_nothing: the worker's answer came when nobody waited for it.
a_time_that_is_none_leaves_nothing_behind(Config) ->
    [?assertEqual({Time, {{returned, noport}, []}}, {Time, call(Config, epmd_docker, port_please, ["a", "::1", Time])})
     || _ <- lists:seq(1, 20), Time <- [2.0, -1, 0, a, 1 bsl 70, -1.5]],
    finish(Config).

fresh(Arity, Form) ->
    [prop_gen:text({unique("fresh") ++ "@" ++ unique("text"), Form}) || _ <- lists:seq(1, Arity)].

%% ---------------------------------------------------------------------------------------------
%% Properties
%% ---------------------------------------------------------------------------------------------

functions(Wanted) ->
    {ok, Modules} = application:get_key(epmd_docker, modules),
    [{M, F, A} || M <- Modules, {F, A} <- M:module_info(exports), F =/= module_info, Wanted(contract(M, F, A))].

all_hold(Config, Functions) ->
    ?assertNotEqual([], Functions),
    Bad = lists:append([hold(Config, MFA) || MFA <- Functions]),
    ct:pal("~b functions, ~b calls", [length(Functions), lists:sum([tests(MFA) || MFA <- Functions])]),
    ?assertEqual([], Bad),
    finish(Config).

%% [] or what it did.
hold(Config, {Module, Function, Arity} = MFA) ->
    Contract = contract(Module, Function, Arity),
    Property = fun(Arguments) ->
        Done = call(Config, Module, Function, Arguments),
        Holds = is_kept(Contract, Done, fun(Stock) -> call(Config, Stock, Function, Arguments) end),
        _ = Holds orelse put(done, {Arguments, Done}),
        Holds
    end,
    try holds(prop_gen:arguments(Function, Arity), tests(MFA), Property) of
        true -> alive_after(MFA, Config)
    catch
        throw:{fails, _Smallest} -> [{MFA, get(done)}];
        %% PropEr cannot shrink an improper list.
        error:badarg -> [{MFA, get(done)}]
    end.

%% A process of OTP's may have ended without the node.
alive_after(MFA, Config) ->
    Peer = node_for(Config),
    case peer:call(Peer, erlang, is_alive, []) of
        true -> [];
        false -> testbed:stop(Peer), [{MFA, no_distribution}]
    end.

is_kept({as, Stock}, {Outcome, _}, Call) ->
    {Expected, _} = Call(Stock),
    kind(Outcome) =:= kind(Expected);
is_kept(Contract, {{returned, _}, Messages}, _) -> Contract =/= value orelse lists:all(fun is_subscribed/1, Messages);
is_kept({raises, any}, {{raised, error, _}, _}, _) -> true;
%% As gen_tcp:connect/4 does.
is_kept({raises, any}, {{raised, exit, badarg}, _}, _) -> true;
is_kept({raises, Reasons}, {{raised, error, Reason}, _}, _) -> lists:member(Reason, Reasons);
is_kept(_, _, _) -> false.

kind({raised, Class, _}) -> Class;
kind(Outcome) -> element(1, Outcome).

%% What subscribe/0,1 is for.
is_subscribed(Message) -> is_tuple(Message) andalso element(1, Message) =:= epmd_docker.

holds(Type, Tests, Property) ->
    Options = [{numtests, Tests}, {max_size, 10}, {max_shrinks, 30}, quiet, {on_output, fun(_, _) -> ok end}],
    case proper:counterexample(proper:forall(Type, Property), Options) of
        true -> true;
        [Arguments] -> throw({fails, Arguments})
    end.
