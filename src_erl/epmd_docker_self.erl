%% What this node registered as: its own name and port. What asks for our own name gets our own
%% port, without asking anybody.
-module(epmd_docker_self).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([put/2, name_and_port/0, port/2, is_taken/3, is_own_host/1, is_here/1]).

-define(KEY, {?MODULE, self}).

?DOC("Remembers the name and port of this node.").
-spec put(string(), inet:port_number()) -> ok.
put(Name, Port) when is_list(Name), is_integer(Port) ->
    persistent_term:put(?KEY, {Name, Port}).

?DOC("Name and port as registered; `undefined` for a node that does not listen.").
-spec name_and_port() -> {Name :: string(), inet:port_number()} | undefined.
name_and_port() ->
    persistent_term:get(?KEY, undefined).

?DOC("Our own port, if that name at that host is this node.").
-spec port(string(), string()) -> {ok, inet:port_number()} | undefined.
port(Name, Host) ->
    case name_and_port() of
        {Name, Port} ->
            case is_here(Host) of
                true -> {ok, Port};
                false -> undefined
            end;
        _ ->
            undefined
    end.

?DOC("Whether we are what listens there, so that no node of that name does.").
-spec is_taken(string(), inet:ip_address(), inet:port_number()) -> boolean().
is_taken(Name, Ip, Port) ->
    case name_and_port() of
        {Own, Port} when Own =/= Name -> is_own_address(Ip);
        _ -> false
    end.

?DOC("Whether a host name or address is this machine's own.").
-spec is_here(string()) -> boolean().
is_here(Host) ->
    is_own_host(Host) orelse
        %% Where name resolution calls this host something else first, this differs from
        %% inet_db:gethostname/0 (inet_config:init/0), and net_adm:names/0 asks for it.
        {ok, Host} =:= inet:gethostname() orelse
        case inet:parse_strict_address(Host) of
            {ok, Ip} -> is_own_address(Ip);
            {error, _} -> false
        end.

is_own_address(Ip) ->
    case inet:getifaddrs() of
        {ok, Interfaces} ->
            lists:any(fun({_, Options}) -> lists:member({addr, Ip}, Options) end, Interfaces);
        {error, _} ->
            false
    end.

?DOC("Whether a host name is this machine's own, and so no container reference.").
-spec is_own_host(string()) -> boolean().
is_own_host(Host) ->
    %% string:split/2 would take a third of the whole answer from memory.
    lists:suffix([$@ | Host], atom_to_list(node())) orelse Host =:= inet_db:gethostname() orelse
        Host =:= "localhost".
