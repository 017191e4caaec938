%% What happens to a container while it is looked up, on a real engine: nobody is told anything that
%% was not true at some time since he asked.
-module(faults_container_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-define(NODE, <<"app@edf_box">>).

suite() -> [{timetrap, {minutes, 3}}].

all() -> [our_module_is_in_use, killed, restarted, renamed, made_anew, paused, moved].

init_per_suite(Config) ->
    case testbed:engine() of
        ok ->
            testbed:remove_all(main),
            _ = testbed:image(),
            ok = fault:new_table(?MODULE),
            Config;
        Skip ->
            Skip
    end.

end_per_suite(_) ->
    testbed:remove_all(main),
    fault:write_table().

end_per_testcase(_, _) -> testbed:remove_all(main).

boot() -> boot("published").

boot(Address) -> fault:node([{"EPMD_DOCKER_ADDRESS", Address}]).

container() -> container(["-p", "9171"]).

container(Flags) ->
    testbed:run(main, ["--name", "edf_box", "-l", "epmd-docker.port=9171" | Flags], ["sleep", "1000"]).

docker(Args) -> testbed:docker(main, Args).

%% The port that its engine has published for it.
published(Id) ->
    [Line | _] = string:lexemes(docker(["port", Id, "9171/tcp"]), "\n"),
    list_to_integer(lists:last(string:lexemes(Line, ":"))).

%% Both as it was and as it is are right for somebody who asks all the time.
either(Ports, Reasons) ->
    fun({ok, #{port := Port} = Found}) -> lists:member(Port, Ports) andalso not is_map_key(stale, Found);
       ({error, Reason}) -> lists:member(Reason, Reasons)
    end.

is(Reason) -> fun(Result) -> Result =:= {error, Reason} end.

at(Port) -> fun({ok, #{port := P}}) -> P =:= Port; (_) -> false end.

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(_Config) ->
    Peer = boot(),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])),
    testbed:stop(Peer).

killed(_Config) ->
    Id = container(),
    Peer = boot(),
    fault:works(Peer, ?NODE),
    fault:row(Peer, #{fault => "the container is killed", inject => fun() -> docker(["kill", Id]) end,
        mend => fun(_) -> docker(["start", Id]) end, node => ?NODE,
        expect => is({not_running, exited}), by => 2000, well => fun(Result) -> (at(published(Id)))(Result) end}),
    testbed:stop(Peer).

%% `docker restart' takes half a second; who asks meanwhile waits for it.
restarted(_Config) ->
    Id = container(),
    Old = published(Id),
    Peer = boot(),
    fault:works(Peer, ?NODE),
    fault:row(Peer, #{fault => "the container is restarted: another port",
        inject => fun() -> spawn_link(fun() -> docker(["restart", "-t", "0", Id]) end) end,
        mend => fun(Pid) -> gone(Pid) end, node => ?NODE,
        expect => fun({ok, #{port := _}}) -> true; (_) -> false end, by => 2000,
        well => fun(Result) -> (at(published(Id)))(Result) end,
        always => fun({ok, #{port := Port}}) -> Port =:= Old orelse Port =:= published(Id); (_) -> false end}),
    testbed:stop(Peer).

gone(Pid) ->
    Monitor = monitor(process, Pid),
    receive {'DOWN', Monitor, process, Pid, _} -> ok after 20_000 -> error(still_there) end.

renamed(_Config) ->
    Id = container(),
    Port = published(Id),
    Peer = boot(),
    fault:works(Peer, ?NODE),
    fault:row(Peer, #{fault => "the container is renamed", inject => fun() -> docker(["rename", Id, "edf_other"]) end,
        meanwhile => fun(_) -> ?assert((at(Port))(fault:resolve(Peer, <<"app@edf_other">>))) end,
        mend => fun(_) -> docker(["rename", Id, "edf_box"]) end, node => ?NODE,
        expect => is(no_such_container), by => 500, always => either([Port], [no_such_container])}),
    testbed:stop(Peer).

made_anew(_Config) ->
    Old = container(),
    Peer = boot(),
    {ok, #{port := OldPort}} = fault:resolve(Peer, ?NODE),
    fault:works(Peer, ?NODE),
    Id = fun({ok, #{container := #{id := Id}}}) -> binary_to_list(Id); (Error) -> Error end,
    fault:row(Peer, #{fault => "the container is removed, and another has its name",
        inject => fun() -> docker(["rm", "-f", Old]), container() end,
        mend => fun(New) -> ?assertNotEqual(New, Old), ok end, node => ?NODE,
        expect => fun(Result) -> Id(Result) =/= Old andalso element(1, Result) =:= ok end, by => 500,
        well => fun(Result) -> Id(Result) =:= docker(["inspect", "-f", "{{.Id}}", "edf_box"]) end,
        always => fun({ok, #{port := Port}} = Result) -> Id(Result) =/= Old orelse Port =:= OldPort;
                     ({error, Reason}) -> lists:member(Reason, [no_such_container, {not_running, exited},
                         {not_running, removing}, {not_running, dead}, {not_running, created}])
                  end}),
    testbed:stop(Peer).

paused(_Config) ->
    Id = container(),
    Port = published(Id),
    Peer = boot(),
    fault:works(Peer, ?NODE),
    fault:row(Peer, #{fault => "the container is paused", inject => fun() -> docker(["pause", Id]) end,
        mend => fun(_) -> docker(["unpause", Id]) end, node => ?NODE, expect => is({not_running, paused}), by => 500,
        always => either([Port], [{not_running, paused}])}),
    testbed:stop(Peer).

moved(_Config) ->
    [docker(["network", "create", "--label", testbed:label(), Name]) || Name <- ["edf_na", "edf_nb"]],
    Id = container(["--network", "edf_na"]),
    Peer = boot("container"),
    fault:works(Peer, ?NODE),
    On = fun(Network) -> fun({ok, #{network := N}}) -> N =:= Network; (_) -> false end end,
    Move = fun(From, To) -> docker(["network", "disconnect", From, Id]), docker(["network", "connect", To, Id]) end,
    fault:row(Peer, #{fault => "the container is moved to another network", inject => fun() -> Move("edf_na", "edf_nb") end,
        mend => fun(_) -> Move("edf_nb", "edf_na") end, node => ?NODE, expect => On(<<"edf_nb">>), by => 500,
        well => On(<<"edf_na">>),
        always => fun({ok, #{network := Network}}) -> lists:member(Network, [<<"edf_na">>, <<"edf_nb">>]);
                     ({error, {no_network, Names}}) -> Names =:= [];
                     ({error, Reason}) -> Reason =:= {not_published, 9171}
                  end}),
    testbed:stop(Peer).
