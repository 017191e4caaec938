%% Notes in a Mnesia table, of which every node of the cluster holds a copy on disc.
%%
%% One server on each node: it creates the table or copies it from the node that JOIN names, is a
%% member of the pg group `notes', watches the other nodes, and one of them all is registered with
%% global as `keeper' (the next one takes over when that one's node ends).
-module(notes).

-behaviour(gen_server).

-export([start/0, write/2, read/1, all/0, members/0, keeper/0, events/0]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2]).

-record(note, {key, text}).

-define(RETRY_MS, 200).

start() -> {ok, _} = gen_server:start({local, ?MODULE}, ?MODULE, [], []).

write(Key, Text) ->
    mnesia:activity(sync_transaction, fun() -> mnesia:write(#note{key = Key, text = Text}) end).

%% From this node's own copy.
read(Key) -> [Text || #note{text = Text} <- mnesia:dirty_read(note, Key)].

all() -> [{Key, read(Key)} || Key <- lists:sort(mnesia:dirty_all_keys(note))].

members() -> lists:sort([node(Pid) || Pid <- pg:get_members(notes)]).

keeper() ->
    case global:whereis_name(keeper) of
        undefined -> none;
        Pid -> node(Pid)
    end.

%% What this node has seen of the others, in order. Answers when the table is here.
events() -> gen_server:call(?MODULE, events, 30_000).

%% ---------------------------------------------------------------------------------------------

init([]) ->
    ok = net_kernel:monitor_nodes(true),
    _ = pg:start(pg),
    {ok, [], {continue, join}}.

handle_continue(join, Events) ->
    ok = mnesia:start(),
    ok = table(os:getenv("JOIN", "")),
    ok = mnesia:wait_for_tables([note], infinity),
    ok = pg:join(notes, self()),
    self() ! keep,
    io:format("~p has the notes~n", [node()]),
    {noreply, Events}.

%% A node that starts again has its schema, which tells where the other copies are.
table(Join) ->
    case {lists:member(note, mnesia:system_info(tables)), Join} of
        {true, _} ->
            ok;
        {false, ""} ->
            ok = on_disc(schema),
            {atomic, ok} = mnesia:create_table(note,
                [{disc_copies, [node()]}, {attributes, record_info(fields, note)}]),
            ok;
        {false, Node} ->
            copy(list_to_atom(Node))
    end.

%% That node may be starting itself.
copy(From) ->
    _ = net_kernel:connect_node(From),
    {ok, _} = mnesia:change_config(extra_db_nodes, [From]),
    case lists:member(note, mnesia:system_info(tables)) of
        true ->
            ok = on_disc(schema),
            {atomic, ok} = mnesia:add_table_copy(note, node(), disc_copies),
            ok;
        false ->
            timer:sleep(?RETRY_MS),
            copy(From)
    end.

on_disc(Table) ->
    {atomic, ok} = mnesia:change_table_copy_type(Table, node(), disc_copies),
    ok.

handle_call(events, _From, Events) -> {reply, lists:reverse(Events), Events}.

handle_cast(_, Events) -> {noreply, Events}.

handle_info({nodeup, Node}, Events) ->
    _ = monitor(process, {?MODULE, Node}),
    {noreply, seen({nodeup, Node}, Events)};
handle_info({nodedown, Node}, Events) ->
    self() ! keep,
    {noreply, seen({nodedown, Node}, Events)};
handle_info({'DOWN', _, process, {?MODULE, Node}, Reason}, Events) ->
    {noreply, seen({down, Node, Reason}, Events)};
handle_info({global_name_conflict, keeper}, Events) ->
    self() ! keep,
    {noreply, Events};
handle_info(keep, Events) ->
    case lists:member(keeper(), [node() | nodes()]) of
        true ->
            ok;
        false ->
            %% Several try at a time, and global may still know the one that has gone: look again.
            %% Two may have become keeper before they were connected; by default global kills one.
            _ = global:register_name(keeper, self(), fun global:random_notify_name/3),
            erlang:send_after(?RETRY_MS, self(), keep)
    end,
    {noreply, Events}.

seen(Event, Events) ->
    io:format("~p: ~p~n", [node(), Event]),
    [Event | Events].
