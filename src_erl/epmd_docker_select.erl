%% What is answered inside net_kernel: whether a node name is one for us.
%%
%% net_kernel serves every connection of the node, and while it waits nobody else is served: stock
%% select/1 that waited 3 s for a look-up stopped all others for 2.8 to 6 s (OTP 25 to 29). So
%% nothing here waits, sends a call or asks anybody; the connection's own process finds the
%% address afterwards.
-module(epmd_docker_select).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([in_net_kernel/0, select/2, select/3]).

?DOC("Whether the calling process is net_kernel.").
-spec in_net_kernel() -> boolean().
in_net_kernel() ->
    whereis(net_kernel) =:= self().

?DOC("`select/1` of the protocols: does the name have a shape that this family can reach?").
-spec select(node(), inet | inet6) -> boolean().
select(Node, Family) ->
    case dist_util:split_node(Node) of
        {node, Name, Host} -> select(Name, Host, Family);
        _ -> false
    end.

?DOC("As `select/2`, with the name in two parts.").
-spec select(string(), string(), inet | inet6) -> boolean().
select(Name, Host, Family) ->
    hint(Name, Host, get(longnames)),
    case inet:parse_strict_address(Host) of
        {ok, Ip} -> family(Ip) =:= Family;
        {error, _} -> true
    end.

family(Ip) when tuple_size(Ip) =:= 4 -> inet;
family(_) -> inet6.

%% OTP refuses to mix name domains and says so in its own words; ours say which flag is missing.
%% net_kernel keeps its own domain under this key of its process dictionary (OTP 25 to 29).
hint(Name, Host, true) ->
    case lists:member($., Host) orelse lists:member($:, Host) of
        true -> ok;
        false -> hint_log(Name, Host, in_container, "-sname")
    end;
hint(Name, Host, false) ->
    case lists:member($., Host) of
        true -> hint_log(Name, Host, on_host, "-name");
        false -> ok
    end;
hint(_, _, _) ->
    ok.

hint_log(Name, Host, Scheme, Flag) ->
    Node = unicode:characters_to_binary([Name, "@", Host]),
    case is_binary(Node) andalso epmd_docker_nif:peek(Node) of
        Scheme ->
            %% In a process of its own: a log handler may wait.
            _ = spawn(fun() ->
                ?LOG_WARNING(#{what => name_domain, node => Node, needs => Flag}, ?LOG_META)
            end),
            ok;
        _ ->
            ok
    end.
