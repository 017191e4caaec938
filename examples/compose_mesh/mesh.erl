%% Joins the cluster, and joins it again whenever it has been left: seeds may start later than this
%% node, and may be replaced. From a seed on, Erlang's own `global' makes the full mesh.
-module(mesh).

-export([start/0]).

-define(EVERY_MS, 1000).

start() ->
    Seeds = [list_to_atom(Seed) || Seed <- string:lexemes(os:getenv("SEEDS", ""), " ")],
    spawn(fun() -> loop(Seeds, none) end).

loop(Seeds, Before) ->
    _ = [net_kernel:connect_node(Seed) || Seed <- Seeds -- [node() | nodes()]],
    Now = lists:sort(nodes()),
    _ = Now =/= Before andalso io:format("~p sees ~p~n", [node(), Now]),
    timer:sleep(?EVERY_MS),
    loop(Seeds, Now).
