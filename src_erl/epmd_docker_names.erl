%% names/0,1: the nodes at a host, for net_adm and for applications that look for their own name.
-module(epmd_docker_names).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([names/1]).

?DOC("""
What Docker and the epmd at that host know, and this node if the host is this one.
""").
-spec names(string()) -> {ok, [{string(), inet:port_number()}]}.
names(Host) ->
    {ok, lists:usort(own(Host) ++ others(Host))}.

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

%% Both at a time; neither may hold up the other, nor net_kernel.
others(Host) ->
    case epmd_docker_select:in_net_kernel() of
        true ->
            [];
        false ->
            Timeout = timeout(),
            limited(fun() ->
                Job = ask_docker(Host, Timeout),
                FromEpmd = limited(fun() -> epmd_names(Host) end, Timeout),
                FromEpmd ++ docker_names(Job, patience(FromEpmd, Timeout))
            end, 2 * Timeout)
    end.

%% A host whose epmd knows nodes may well have no Docker, and a firewall that answers nothing.
patience([], Timeout) -> Timeout;
patience(_, Timeout) -> Timeout div 4.

ask_docker(Host, Timeout) ->
    Tag = make_ref(),
    case epmd_docker_nif:names(Tag, docker_host(Host), epmd_docker_boot:family(), Timeout) of
        {ok, Job} -> {Tag, Job};
        {error, _} -> none
    end.

docker_host(Host) ->
    case epmd_docker_self:is_here(Host) of
        true -> undefined;
        false -> unicode:characters_to_binary(Host)
    end.

%% A daemon that is away knows no nodes. The job is named to the end, or it would be garbage.
docker_names(none, _) ->
    [];
docker_names({Tag, Job}, Timeout) ->
    receive
        {epmd_docker_nif, Tag, {ok, Names}} ->
            [{unicode:characters_to_list(Name), Port} || {Name, Port} <- Names];
        {epmd_docker_nif, Tag, {error, _}} ->
            []
    after Timeout ->
        _ = epmd_docker_nif:cancel(Job),
        []
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

%% erl_epmd:names/1 has no time limit of its own.
limited(Fun, Limit) ->
    case epmd_docker_worker:run(fun(Reply, _) -> Reply(Fun()) end, Limit) of
        {ok, Names} -> Names;
        _ -> []
    end.

timeout() ->
    case epmd_docker_options:current() of
        {ok, #{timeout := Timeout}} -> Timeout;
        {error, _} -> 4000
    end.
