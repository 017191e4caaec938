%% A full mesh of nodes in containers on a user network: each connects to all others, one after the
%% other, all at the same time. In each container is a node with this library and a stock one,
%% which asks Docker's name server and the epmd in the container.
-module(bench_mesh).
-behaviour(bench).

-export([run/1]).
-export([join/1, leave/0, fresh/1, requests/0]).

-define(NODES, 50).
-define(REPEAT, 3).
-define(NETWORK, "epmd_docker_bench").
-define(LIMIT_MS, 120_000).
-define(UNITS, #{requests => count}).

-spec run(bench:context()) -> bench:outcome().
run(#{quick := Quick, repeat := Repeat} = Given) ->
    Size = case Quick of true -> 8; false -> ?NODES end,
    Context = Given#{units => ?UNITS, repeat => min(?REPEAT, Repeat)},
    _ = bench:docker(["network create --label ", maps:get(label, Context), " " ?NETWORK]),
    Hosts = [start(Number, Context) || Number <- lists:seq(1, Size)],
    %% It does not listen, and so is hidden and no member itself.
    Control = bench_connect:library_peer("bench_mesh", true),
    true = peer:call(Control, erlang, set_cookie, [bench_cookie]),
    Meshes = [{Name, [list_to_atom(Name ++ "@" ++ Host) || Host <- Hosts]} || Name <- ["ours", "stock"]],
    [ok = prepare(Control, Node) || {_, Nodes} <- Meshes, Node <- Nodes],
    Repetitions = [
        bench:progress(Context, Number, fun() -> repetition(Number, Control, Meshes) end)
     || Number <- lists:seq(1, maps:get(repeat, Context))
    ],
    ok = peer:stop(Control),
    _ = bench:docker(["rm -f ", lists:join(" ", Hosts), " >/dev/null"]),
    _ = bench:docker("network rm " ?NETWORK),
    #{repetitions => Repetitions, rows => rows(Size, Repetitions), units => ?UNITS}.

%% Its own nodes are told their port; `stock' is found through the epmd that it starts.
start(Number, #{image := Image, label := Label, socket := Socket}) ->
    Host = "epmdbench" ++ integer_to_list(Number),
    Erl = "erl -noinput -connect_all false -setcookie bench_cookie -sname ",
    Command = [Erl, "stock & ERL_DIST_PORT=4370 exec ", Erl, "ours -start_epmd false -epmd_module epmd_docker"],
    _ = bench:docker(["run -d --init --label ", Label, " --name ", Host, " --hostname ", Host,
        " --network " ?NETWORK " --label epmd-docker.port.ours=4370 -e ERL_LIBS=/opt -v ", Socket,
        ":/var/run/docker.sock ", Image, " sh -c '", Command, "'"]),
    Host.

%% Waits until the node is up and gives it this code.
prepare(Control, Node) ->
    prepare(Control, Node, erlang:monotonic_time(millisecond) + ?LIMIT_MS).

prepare(Control, Node, End) ->
    case peer:call(Control, net_kernel, connect_node, [Node], ?LIMIT_MS) of
        true ->
            _ = [load(Control, Node, Module) || Module <- [?MODULE, bench_stat]],
            ok;
        false ->
            true = erlang:monotonic_time(millisecond) < End,
            receive after 200 -> prepare(Control, Node, End) end
    end.

load(Control, Node, Name) ->
    {Module, Binary, File} = code:get_object_code(Name),
    {module, Module} = peer:call(Control, erpc, call, [Node, code, load_binary, [Module, File, Binary]]).

repetition(Number, Control, [{"ours", Ours}, {"stock", Stocks}]) ->
    _ = on_all(Control, Ours, fresh, fun(_) -> [Number] end),
    Cold = mesh(Control, Ours),
    Requests = on_all(Control, Ours, requests, fun(_) -> [] end),
    _ = on_all(Control, Ours, leave, fun(_) -> [] end),
    Known = mesh(Control, Ours),
    _ = on_all(Control, Ours, leave, fun(_) -> [] end),
    Stock = mesh(Control, Stocks),
    _ = on_all(Control, Stocks, leave, fun(_) -> [] end),
    #{cold => [Cold], known => [Known], stock => [Stock], requests => Requests}.

%% Until the last one has all others, in ns.
mesh(Control, Nodes) ->
    Others = fun(Node) ->
        {Before, [Node | After]} = lists:splitwith(fun(Other) -> Other =/= Node end, Nodes),
        [After ++ Before]
    end,
    {Ns, _} = bench_stat:time(fun() -> on_all(Control, Nodes, join, Others) end),
    Ns.

on_all(Control, Nodes, Function, Args) ->
    Calls = [{Node, Args(Node)} || Node <- Nodes],
    Call = fun() ->
        Requests = [erpc:send_request(Node, ?MODULE, Function, List) || {Node, List} <- Calls],
        [erpc:receive_response(Request, ?LIMIT_MS) || Request <- Requests]
    end,
    peer:call(Control, erlang, apply, [Call, []], ?LIMIT_MS).

%% ---------------------------------------------------------------------------------------------
%% In the nodes
%% ---------------------------------------------------------------------------------------------

-spec join([node()]) -> ok.
join(Others) ->
    _ = [ok = connect(Other, 100) || Other <- Others],
    complete(length(Others)).

%% Two that connect to each other at the same time may both be told that it failed.
connect(Other, Tries) when Tries > 0 ->
    case net_kernel:connect_node(Other) of
        true -> ok;
        false -> receive after 10 -> connect(Other, Tries - 1) end
    end.

complete(Count) ->
    case length(nodes()) of
        Count -> ok;
        _ -> receive after 1 -> complete(Count) end
    end.

-spec leave() -> ok.
leave() ->
    _ = [erlang:disconnect_node(Node) || Node <- nodes()],
    complete(0).

%% Other settings make a library that knows nothing yet.
-spec fresh(pos_integer()) -> ok.
fresh(Number) ->
    {ok, Options} = epmd_docker_options:current(),
    Native = epmd_docker_options:native(Options),
    epmd_docker_nif:configure(Native#{refresh_interval := 600_000 + Number}).

-spec requests() -> non_neg_integer().
requests() ->
    [#{requests := Requests} | _] = epmd_docker_nif:daemons(),
    Requests.

rows(Size, Repetitions) ->
    Of = fun(Name) -> bench:series(Name, Repetitions) end,
    Text = integer_to_list(Size),
    Mesh = ["full mesh of ", Text, " container nodes on a user network"],
    Stock = {"stock `inet_tcp`, Docker's name server and the container's epmd", Of(stock)},
    PerNode = [[Requests / Size || Requests <- Repetition] || Repetition <- Of(requests)],
    [
        bench:row(#{what => [Mesh, ", no name known before"], ours => Of(cold), reference => Stock,
            target => {at_most, 1.0}}),
        bench:row(#{what => [Mesh, ", again"], ours => Of(known), reference => Stock,
            target => {at_most, 1.0}}),
        bench:row(#{what => ["engine requests of a node in the first of them, for each of the ", Text, " nodes"],
            unit => count, ours => PerNode, target => {at_most, 1}})
    ].
