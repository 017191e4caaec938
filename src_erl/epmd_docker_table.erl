%% The node table's Erlang side: checks what users give and puts it into the form of the native
%% table, which holds it (and so outlives a reload of our modules).
-module(epmd_docker_table).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([add/2, add/3, remove/1, set/1, list/0, parts/1]).

-type reason() :: epmd_docker:reason().

?DOC("Adds a node at the host that its name says.").
-spec add(term(), term()) -> ok | {error, reason()}.
add(Node, Port) ->
    with_entry({Node, Port}, fun add_entry/1).

?DOC("Adds a node at a given host.").
-spec add(term(), term(), term()) -> ok | {error, reason()}.
add(Node, Host, Port) ->
    with_entry({Node, Host, Port}, fun add_entry/1).

add_entry({Node, Host, Port}) ->
    epmd_docker_nif:table_add(Node, Host, Port).

?DOC("Removes a node.").
-spec remove(term()) -> ok | {error, reason()}.
remove(Node) ->
    case parts(Node) of
        {ok, Name, Host} ->
            case epmd_docker_nif:table_remove(joined(Name, Host)) of
                {error, _} = Error -> Error;
                _ -> ok
            end;
        Error ->
            Error
    end.

?DOC("Replaces the table.").
-spec set(term()) -> ok | {error, reason()}.
set(Nodes) when is_list(Nodes) ->
    try
        epmd_docker_nif:table_set([checked(Node) || Node <- Nodes])
    catch
        throw:{error, _} = Error -> Error;
        %% An improper list.
        error:_ -> {error, {bad_node_name, printed(Nodes)}}
    end;
set(Nodes) ->
    {error, {bad_node_name, printed(Nodes)}}.

?DOC("The table. Its names came from this node's user, so making atoms of them is safe.").
-spec list() -> [{node(), string(), inet:port_number()}] | {error, reason()}.
list() ->
    case epmd_docker_nif:table_list() of
        {error, _} = Error ->
            Error;
        Entries ->
            [
                {binary_to_atom(Node), unicode:characters_to_list(Host), Port}
             || {Node, Host, Port} <- Entries
            ]
    end.

?DOC("A node name's two parts.").
-spec parts(term()) -> {ok, Name :: string(), Host :: string()} | {error, reason()}.
parts(Node) ->
    case string:split(characters(Node), "@", all) of
        [[_ | _] = Name, [_ | _] = Host] -> {ok, Name, Host};
        _ -> {error, {bad_node_name, printed(Node)}}
    end.

with_entry(Entry, Fun) ->
    try
        Fun(checked(Entry))
    catch
        throw:{error, _} = Error -> Error
    end.

checked({Node, Port}) ->
    {ok, Name, Host} = ok(parts(Node)),
    {joined(Name, Host), unicode:characters_to_binary(Host), port(Port)};
checked({Node, Host, Port}) ->
    {ok, Name, NameHost} = ok(parts(Node)),
    {joined(Name, NameHost), host(Host), port(Port)};
checked(Other) ->
    throw({error, {bad_node_name, printed(Other)}}).

ok({error, _} = Error) -> throw(Error);
ok(Ok) -> Ok.

port(Port) when is_integer(Port), Port > 0, Port < 65536 -> Port;
port(Port) -> throw({error, {bad_port, Port}}).

host(Host) when is_tuple(Host) ->
    case inet:ntoa(Host) of
        {error, _} -> throw({error, {bad_host, Host}});
        Text -> list_to_binary(Text)
    end;
host(Host) ->
    case characters(Host) of
        [_ | _] = Text when length(Text) =< 255 -> unicode:characters_to_binary(Text);
        _ -> throw({error, {bad_host, Host}})
    end.

joined(Name, Host) ->
    unicode:characters_to_binary([Name, $@, Host]).

%% Text of any kind as a flat list of characters; [] for what is no text.
characters(Text) when is_atom(Text) ->
    atom_to_list(Text);
characters(Text) when is_binary(Text); is_list(Text) ->
    try unicode:characters_to_list(Text) of
        List when is_list(List) -> List;
        _ -> []
    catch
        error:_ -> []
    end;
characters(_) ->
    [].

printed(Term) ->
    unicode:characters_to_binary(io_lib:format("~0tP", [Term, 20])).
