%% One fault, from the time before it to the time after it, and the table of all of them.
%%
%% A row is: a node at work; the fault; what a caller gets, and by when; its end, after which things
%% work again within a second. All the while net_kernel is asked every few milliseconds
%% (fault_probe), and connections to nodes in Docker are tried in it.
-module(fault).

-include_lib("stdlib/include/assert.hrl").

-export([node/1, node/2, row/2, resolve/2, works/2, alive/1, write_table/0, new_table/1, note/3]).
%% In the node
-export([ask_on/2]).

-define(RECOVERY_MS, 1000).
-define(MILLISECOND, 1000).
%% A fault that is over at once would leave nothing to measure.
-define(AT_LEAST_MS, 150).
%% How often a row may be tried where the machine was too busy to tell.
-define(TRIES, 3).

-type result() :: {ok, map()} | {error, epmd_docker:reason()}.
-type row() :: #{
    %% What happens, in the words of the table.
    fault := string(),
    %% Begins the fault; its value is handed to the others.
    inject := fun(() -> term()),
    %% Ends it, and returns when it did (ms of the monotonic clock), or anything else for now.
    mend := fun((term()) -> term()),
    %% Whose address is asked for.
    node := binary(),
    %% Whether that is the documented answer, and by when it must be there.
    expect := fun((result()) -> boolean()),
    by := pos_integer(),
    %% More to be asserted while it lasts.
    meanwhile => fun((term()) -> term()),
    %% Right again; by default any {ok, _} that is not stale.
    well => fun((result()) -> boolean()),
    %% True for all that an asker who does not give up may be told, from before the fault to its end.
    always => fun((result()) -> boolean()),
    %% Where the node has to be another one for another try.
    again => fun(() -> pid()),
    %% Other names to connect to meanwhile.
    connect => [node()]
}.

%% ---------------------------------------------------------------------------------------------
%% Nodes
%% ---------------------------------------------------------------------------------------------

-spec node([{string(), string()}]) -> pid().
node(Env) -> node(Env, #{}).

%% More goes to peer:start; `flags' are further arguments.
-spec node([{string(), string()}], map()) -> pid().
node(Env, More) ->
    Name = "fault" ++ integer_to_list(erlang:unique_integer([positive])),
    Peer = testbed:peer(More#{
        args => ["-pa", filename:dirname(code:which(?MODULE)), "-start_epmd", "false", "-epmd_module", "epmd_docker",
            "-setcookie", "secret", "-sname", Name | maps:get(flags, More, [])],
        env => Env
    }),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    %% A VM in interactive mode loads modules inside net_kernel when it first connects: 10 to 60 ms, of
    %% stock Erlang too, for `string' and `unicode_util' alone.
    _ = application:load(epmd_docker),
    {ok, Modules} = application:get_key(epmd_docker, modules),
    ok = peer:call(Peer, code, ensure_modules_loaded, [[dist_util, string, unicode_util, timer | Modules]], 20_000),
    Peer.

-spec resolve(pid(), binary()) -> result().
resolve(Peer, Node) -> peer:call(Peer, epmd_docker, resolve, [Node], 20_000).

-spec works(pid(), binary()) -> ok.
works(Peer, Node) ->
    testbed:eventually(fun() -> case resolve(Peer, Node) of {ok, _} -> true; Other -> Other end end, 10_000, Node).

%% The node and net_kernel are there, and nobody has left a message behind.
-spec alive(pid()) -> ok.
alive(Peer) ->
    ?assert(peer:call(Peer, erlang, is_alive, [])),
    NetKernel = peer:call(Peer, erlang, whereis, [net_kernel]),
    testbed:eventually(fun() ->
        peer:call(Peer, erlang, process_info, [NetKernel, messages]) =:= {messages, []}
    end, 5000, net_kernel).

%% ---------------------------------------------------------------------------------------------
%% Rows
%% ---------------------------------------------------------------------------------------------

%% Gives the node that has come through it.
-spec row(pid(), row()) -> pid().
row(Peer, Row) -> row(Peer, Row, ?TRIES).

row(Peer, Row, Tries) ->
    #{figures := Figures} = Seen = suffer(Peer, Row),
    ct:pal("~ts~n~p", [maps:get(fault, Row), Seen]),
    case is_calm(Figures) of
        true -> ok = note(Row, Seen), Peer;
        false when Tries > 1 -> row(again(Peer, Row), Row, Tries - 1);
        false -> ct:fail({net_kernel_was_late, maps:get(fault, Row), Figures})
    end.

again(Peer, #{again := Again}) -> testbed:stop(Peer), Again();
again(Peer, _) -> Peer.

%% Within a millisecond of normal, but for what the machine itself was late.
is_calm(#{normal := Normal, median := Median, own := Own}) ->
    Median =< Normal + ?MILLISECOND andalso Own =< ?MILLISECOND.

suffer(Peer, #{fault := Fault, inject := Inject, mend := Mend, node := Node, expect := Expect, by := By} = Row) ->
    ok = peer:call(Peer, fault_probe, start, []),
    ok = peer:call(Peer, fault_probe, normal, [], 20_000),
    Early = [asker(Peer, Node) || is_map_key(always, Row)],
    Injected = Inject(),
    Begun = now_ms(),
    [Asker | _] = Early ++ [asker(Peer, Node) || Early =:= []],
    Connects = [peer:call(Peer, erlang, spawn, [net_kernel, connect_node, [Name]]) || Name <- connects(Row)],
    {Ms, Result} = testbed:elapsed(fun() -> resolve(Peer, Node) end),
    ?assert(Expect(Result), {Fault, Result}),
    ?assert(Ms =< By, {Fault, Ms}),
    _ = (maps:get(meanwhile, Row, fun(_) -> ok end))(Injected),
    timer:sleep(max(0, Begun + ?AT_LEAST_MS - now_ms())),
    Recovery = recovery(Peer, Row, ended(Mend(Injected))),
    Figures = peer:call(Peer, fault_probe, stop, [], 20_000),
    [true = peer:call(Peer, erlang, exit, [Pid, kill]) || Pid <- Connects],
    allowed(Row, answers(Asker, Peer)),
    alive(Peer),
    #{result => Result, ms => Ms, recovery => Recovery, figures => Figures}.

%% One asker that does not give up, and what it was told, each answer once.
-spec ask_on(binary(), [result()]) -> ok.
ask_on(Node, Answers) ->
    Now = lists:usort([epmd_docker:resolve(Node) | Answers]),
    receive
        {answers, From} -> From ! {self(), Now}, ok
    after 2 -> ask_on(Node, Now)
    end.

asker(Peer, Node) -> peer:call(Peer, erlang, spawn, [?MODULE, ask_on, [Node, []]]).

%% Asked through a process of the node: messages do not cross the channel to it.
answers(Asker, Peer) ->
    {ok, Tokens, _} = erl_scan:string("A ! {answers, self()}, receive {A, Answers} -> Answers after 10000 -> none end."),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, Answers, _} = peer:call(Peer, erl_eval, exprs, [Expressions, [{'A', Asker}]], 20_000),
    Answers.

allowed(#{always := Always, fault := Fault}, Answers) ->
    ct:pal("~ts: asked all the time: ~p", [Fault, Answers]),
    [?assert(Always(Answer), {Fault, Answer}) || Answer <- Answers];
allowed(_, Answers) ->
    ?assert(is_list(Answers)).

connects(#{connect := Names}) -> Names;
connects(#{node := Node}) -> [binary_to_atom(Node), 'app@ed_one', 'app@ed_two'].

ended(At) when is_integer(At) -> At;
ended(_) -> now_ms().

recovery(Peer, #{node := Node, fault := Fault} = Row, Ended) ->
    Well = maps:get(well, Row, fun is_well/1),
    Result = resolve(Peer, Node),
    Took = now_ms() - Ended,
    case Well(Result) of
        true ->
            ?assert(Took =< ?RECOVERY_MS, {Fault, recovery, Took}),
            Took;
        false when Took > 5 * ?RECOVERY_MS ->
            ct:fail({Fault, no_recovery, Result});
        false ->
            timer:sleep(5),
            recovery(Peer, Row, Ended)
    end.

is_well({ok, Found}) -> not is_map_key(stale, Found);
is_well({error, _}) -> false.

now_ms() -> erlang:monotonic_time(millisecond).

%% ---------------------------------------------------------------------------------------------
%% The table
%% ---------------------------------------------------------------------------------------------

%% Each suite has a file of its own rows, so that it can run alone.
rows_file(Suite) -> filename:join([logs(), "faults", atom_to_list(Suite) ++ ".rows"]).

logs() -> filename:join([testbed:root(), "_build", "test", "logs"]).

%% Begins the rows of a suite.
-spec new_table(module()) -> ok.
new_table(Suite) ->
    File = rows_file(Suite),
    ok = filelib:ensure_dir(File),
    ok = application:set_env(epmd_docker, fault_rows, File),
    file:write_file(File, "").

%% A fault that takes the probe with it: only the answer, and how long after its end.
-spec note(string(), result(), number()) -> ok.
note(Fault, Result, Ms) ->
    note(#{fault => Fault}, #{result => Result, ms => Ms, recovery => round(Ms), figures => none}).

note(#{fault := Fault}, Seen) ->
    {ok, File} = application:get_env(epmd_docker, fault_rows),
    ok = file:write_file(File, io_lib:format("~p.~n", [Seen#{fault => Fault}]), [append]).

%% All rows that there are, as the page that docs/faults.md is a copy of (`make faults').
-spec write_table() -> ok.
write_table() ->
    Files = lists:sort(filelib:wildcard(filename:join([logs(), "faults", "*.rows"]))),
    Rows = [line(Row) || File <- Files, {ok, Terms} <- [file:consult(File)], Row <- Terms],
    {ok, Head} = file:read_file(filename:join([testbed:root(), "test", "support", "faults_head.md"])),
    file:write_file(filename:join(logs(), "faults.md"), unicode:characters_to_binary([Head | Rows])).

line(#{fault := Fault, result := Result, ms := Ms, recovery := Recovery, figures := Figures}) ->
    io_lib:format("| ~ts | `~ts` | ~s | ~s | ~b ms |~n",
        [Fault, cell(Result), duration(Ms), micros(Figures), Recovery]).

micros(#{normal := Normal, median := Median, worst := Worst, own := Own}) ->
    io_lib:format("~b / ~b / ~b / ~b", [Normal, Median, Worst, Own]);
micros(none) ->
    "starts anew".

cell({ok, #{address := Address, port := Port} = Found}) ->
    Stale = case Found of #{stale := true} -> ", stale"; _ -> "" end,
    io_lib:format("ok: ~s:~b~s", [inet:ntoa(Address), Port, Stale]);
cell({error, Reason}) ->
    string:replace(io_lib:format("~0tp", [Reason]), "|", "\\|", all).

duration(Ms) when Ms < 10 -> io_lib:format("~.1f ms", [Ms]);
duration(Ms) -> io_lib:format("~b ms", [round(Ms)]).
