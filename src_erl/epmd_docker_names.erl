%% names/0,1: the nodes at a host, for net_adm and for applications that look for their own name.
-module(epmd_docker_names).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([names/1]).

?DOC("What the epmd at that host knows, and this node if the host is this one.").
-spec names(string()) -> {ok, [{string(), inet:port_number()}]}.
names(Host) ->
    {ok, lists:usort(own(Host) ++ from_epmd(Host))}.

own(Host) ->
    case epmd_docker_self:name_and_port() of
        undefined ->
            [];
        {Name, _} ->
            case epmd_docker_self:port(Name, Host) of
                {ok, Port} -> [{Name, Port}];
                undefined -> []
            end
    end.

%% erl_epmd:names/1 has no time limit of its own.
from_epmd(Host) ->
    case epmd_docker_select:in_net_kernel() of
        true -> [];
        false -> limited(fun() -> epmd_names(Host) end)
    end.

epmd_names(Host) ->
    case erl_epmd:names(epmd_host(Host)) of
        {ok, Names} -> Names;
        _ -> []
    end.

epmd_host(Host) ->
    case inet:parse_strict_address(Host) of
        {ok, Ip} -> Ip;
        {error, _} -> Host
    end.

limited(Fun) ->
    case epmd_docker_worker:run(fun(Reply, _) -> Reply(Fun()) end, timeout()) of
        {ok, Names} -> Names;
        _ -> []
    end.

timeout() ->
    case epmd_docker_options:current() of
        {ok, #{timeout := Timeout}} -> Timeout;
        {error, _} -> 4000
    end.
