%% What the node of the soak test does all the time: looks up what is known and what is not, connects
%% and disconnects, subscribes, and kills askers before they have their answer. Runs in that node.
-module(soak_load).

-export([start/1, counts/0, stop/0]).

-define(TABLE, soak_counts).

%% Names of nodes whose containers come and go.
-spec start([binary()]) -> ok.
start(Nodes) ->
    Test = self(),
    Pid = spawn(fun() ->
        ?TABLE = ets:new(?TABLE, [named_table, public]),
        true = register(?MODULE, self()),
        _ = [spawn_link(fun() -> every(Ms, Work, 0) end) || {Ms, Work} <- works(Nodes)],
        Test ! {self(), started},
        receive stop -> exit(shutdown) end
    end),
    receive {Pid, started} -> ok end.

-spec stop() -> ok.
stop() ->
    ?MODULE ! stop,
    ok.

%% How often each kind of answer was given.
-spec counts() -> #{atom() => non_neg_integer()}.
counts() -> maps:from_list(ets:tab2list(?TABLE)).

%% {every so many ms, what}
works(Nodes) ->
    [
        {50, fun(I) -> note(epmd_docker:resolve(nth(I, Nodes))) end},
        {1000, fun(I) -> note(epmd_docker:resolve(<<"app@ed_nobody", (integer_to_binary(I rem 50))/binary>>)) end},
        {5000, fun(I) -> burst(nth(I, Nodes)) end},
        {7000, fun(_) -> note(epmd_docker:names()) end},
        {3000, fun(_) -> subscription() end}
    ].

nth(I, List) -> lists:nth(1 + I rem length(List), List).

every(Ms, Work, I) ->
    Work(I),
    timer:sleep(Ms),
    every(Ms, Work, I + 1).

%% 32 at once, for one that is known and one that is not; half of the askers are killed meanwhile.
burst(Node) ->
    Ask = fun(Name) -> fun() -> note(epmd_docker:resolve(Name)) end end,
    Askers = [spawn_monitor(Ask(Name)) || _ <- lists:seq(1, 16), Name <- [Node, <<"app@ed_burst">>]],
    erlang:yield(),
    {Killed, _} = lists:split(16, Askers),
    [exit(Pid, kill) || {Pid, _} <- Killed],
    [receive {'DOWN', Monitor, process, _, _} -> ok end || {_, Monitor} <- Askers].

subscription() ->
    note(epmd_docker:subscribe()),
    receive {epmd_docker, snapshot, _} -> note({ok, snapshot}) after 2000 -> note({error, no_snapshot}) end,
    ok = epmd_docker:unsubscribe(),
    forget().

forget() ->
    receive {epmd_docker, _, _} -> forget() after 0 -> ok end.

note(ok) -> note({ok, subscribed});
note({ok, _}) -> count(ok);
note({error, Reason}) when is_atom(Reason) -> count(Reason);
note({error, Reason}) -> count(element(1, Reason)).

count(What) -> ets:update_counter(?TABLE, What, 1, {What, 0}).
