%% Which way an address or a port is found: at once where net_kernel asks, from memory where the node
%% is known, and by a look-up otherwise. Names and hosts are strings here.
-module(epmd_docker_address).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([address/3, port/3, resolve/2]).

?DOC("See `epmd_docker:address_please/3`.").
-spec address(string(), string(), inet | inet6) ->
    {ok, inet:ip_address()}
    | {ok, inet:ip_address(), inet:port_number(), Version :: 5..6}
    | {error, epmd_docker:reason()}.
address(Name, Host, Family) ->
    case epmd_docker_select:in_net_kernel() of
        true -> selected(Name, Host, Family);
        false -> address_from_memory(Name, Host, Family)
    end.

address_from_memory(Name, Host, Family) ->
    case epmd_docker_lookup:known(Name, Host, Family) of
        {ok, Address, Port} -> {ok, Address, Port, 6};
        {unknown, Peeked} -> address_for_connection(Name, Host, Family, Peeked)
    end.

address_for_connection(Name, Host, Family, Peeked) ->
    case epmd_docker_select:is_selecting(Name, Host) of
        true -> selected(Name, Host, Family);
        false -> located(find(Name, Host, Family, Peeked#{watch => true}))
    end.

selected(Name, Host, Family) ->
    case epmd_docker_select:select(Name, Host, Family) of
        %% Stock select/1 looks only at whether there is an address.
        true -> {ok, any(Family)};
        false -> {error, {dns, unicode:characters_to_binary(Host), eafnosupport}}
    end.

any(inet) -> {0, 0, 0, 0};
any(inet6) -> {0, 0, 0, 0, 0, 0, 0, 0}.

located({ok, #{address := Address, port := Port, version := Version}}) ->
    {ok, Address, Port, Version};
located({error, _} = Error) ->
    Error.

?DOC("See `epmd_docker:port_please/3`.").
-spec port(string(), string(), timeout()) -> {port, inet:port_number(), Version :: 5..6} | noport.
port(Name, Host, Timeout) ->
    case epmd_docker_self:port(Name, Host) of
        {ok, Port} ->
            {port, Port, 6};
        undefined ->
            case epmd_docker_select:in_net_kernel() orelse find(Name, Host, family(), #{}, Timeout) of
                {ok, #{port := Port, version := Version}} -> {port, Port, Version};
                _ -> noport
            end
    end.

?DOC("See `epmd_docker:resolve/1`.").
-spec resolve(string(), string()) -> {ok, epmd_docker:resolved()} | {error, epmd_docker:reason()}.
resolve(Name, Host) ->
    find(Name, Host, family(), #{}).

find(Name, Host, Family, Flags) ->
    find(Name, Host, Family, Flags, infinity).

find(Name, Host, Family, Flags, AtMost) ->
    case epmd_docker_options:current() of
        {ok, #{timeout := Timeout}} ->
            epmd_docker_lookup:find(Name, Host, Family, limit(Timeout, AtMost), Flags);
        {error, _} = Error ->
            Error
    end.

%% infinity leaves the setting as it is, and so does what is no time: receive would raise on a float.
limit(Timeout, AtMost) when is_integer(AtMost) -> max(1, min(Timeout, AtMost));
limit(Timeout, _) -> Timeout.

family() ->
    epmd_docker_boot:family().
