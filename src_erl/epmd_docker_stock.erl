%% Where stock Erlang would look: DNS, then one fixed port or epmd. Runs in a worker, since DNS may
%% take any time.
-module(epmd_docker_stock).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([find/1, dns/4, at/4, epmd/2, uses_epmd/0, deadline/1, left/1]).

-type query() :: epmd_docker_lookup:query().
-type result() :: {ok, epmd_docker_lookup:found()} | {error, epmd_docker:reason()}.

?DOC("The node at its host: at the port that all nodes have, if one is set, else as epmd says.").
-spec find(query()) -> result().
find(#{host := Host} = Query) ->
    case epmd_docker_options:current() of
        {ok, #{remote_port := Port}} when is_integer(Port) -> fixed_port(Port, Query);
        _ -> dns(Host, undefined, epmd, Query)
    end.

%% Where that port is our own, another node on this machine is somewhere else. OTP would dial
%% itself and wait for the whole of net_setuptime, and who calls us meanwhile as that node is
%% refused.
fixed_port(Port, #{name := Name, host := Host} = Query) ->
    case dns(Host, Port, fixed_port, Query) of
        {ok, #{address := Ip}} = Found ->
            case epmd_docker_self:is_taken(Name, Ip, Port) of
                true -> dns(Host, undefined, epmd, Query);
                false -> Found
            end;
        Error ->
            Error
    end.

?DOC("The address of a host, with this port or (`undefined`) the one that its epmd knows.").
-spec dns(string(), inet:port_number() | undefined, epmd_docker_lookup:source(), query()) -> result().
dns(Host, Port, Source, #{family := Family} = Query) ->
    case permitted(getaddr(Host, Family, left(Query)), Query) of
        {ok, Ip} when is_integer(Port) ->
            at(Ip, Port, Source, Query);
        {ok, Ip} ->
            case epmd(Ip, Query) of
                {ok, Found, Version} ->
                    {ok, #{address => Ip, port => Found, source => Source, version => Version}};
                Error ->
                    Error
            end;
        {error, {host_not_allowed, _}} = Error ->
            Error;
        {error, Reason} ->
            {error, {dns, unicode:characters_to_binary(Host), Reason}}
    end.

%% ContainerId@HostAddr is bound by allowed_hosts here too: this is another answer of the name server
%% than the one that the library has checked, and may lead elsewhere.
permitted({ok, Ip}, #{kind := on_host, host := Host}) ->
    Address = list_to_binary(inet:ntoa(Ip)),
    case epmd_docker_nif:is_allowed(unicode:characters_to_binary(Host), Address) of
        true -> {ok, Ip};
        _ -> {error, {host_not_allowed, Address}}
    end;
permitted(Answer, _Query) ->
    Answer.

?DOC("A known address and port, if that address is of the family that is asked for.").
-spec at(inet:ip_address(), inet:port_number(), epmd_docker_lookup:source(), query()) -> result().
at(Ip, Port, Source, #{family := Family}) when
    tuple_size(Ip) =:= 4, Family =:= inet; tuple_size(Ip) =:= 8, Family =:= inet6
->
    {ok, #{address => Ip, port => Port, source => Source, version => ?DIST_VERSION}};
at(Ip, _Port, _Source, _Query) ->
    {error, {dns, list_to_binary(inet:ntoa(Ip)), eafnosupport}}.

%% A name server that does not answer must leave time to tell what Docker said.
getaddr(Host, Family, Left) ->
    case inet:parse_strict_address(Host) of
        {ok, _} ->
            inet:getaddr(Host, Family);
        {error, _} ->
            Ask = fun(Reply, _) -> Reply(inet:getaddr(Host, Family)) end,
            case epmd_docker_worker:run(Ask, Left) of
                {ok, Answer} -> Answer;
                timeout -> {error, timeout};
                {crashed, _} -> {error, einval}
            end
    end.

?DOC("The port and the distribution version that the epmd at an address knows for the name.").
-spec epmd(inet:ip_address(), query()) ->
    {ok, inet:port_number(), 5..6} | {error, epmd_docker:reason()}.
epmd(Ip, #{name := Name} = Query) ->
    case erl_epmd:port_please(Name, Ip, left(Query)) of
        {port, Port, Version} -> {ok, Port, Version};
        _ -> {error, {not_in_epmd, unicode:characters_to_binary(Name), Ip}}
    end.

?DOC("Whether ports come from epmd here, and not from a port that all nodes have.").
-spec uses_epmd() -> boolean().
uses_epmd() ->
    case epmd_docker_options:current() of
        {ok, #{remote_port := undefined}} -> true;
        _ -> false
    end.

?DOC("When a look-up that may take this long (ms) must be over, by the monotonic clock.").
-spec deadline(pos_integer()) -> integer().
deadline(Timeout) -> erlang:monotonic_time(millisecond) + Timeout.

?DOC("How much of its time is left (ms).").
-spec left(query()) -> pos_integer().
left(#{deadline := Deadline}) -> max(1, Deadline - erlang:monotonic_time(millisecond)).
