%% What is answered while net_kernel selects a protocol: whether a node name is one for us.
%%
%% Up to OTP 28 select/1 runs inside net_kernel, which serves every connection of the node: while
%% it waits nobody else is served, and stock select/1 that waited 3 s for a look-up stopped all
%% others for 2.8 to 6 s. From OTP 29 on net_kernel starts a process for it. In neither does
%% anything here wait for Docker or DNS: the connection's own process finds the address
%% afterwards, and one look-up is enough.
-module(epmd_docker_select).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([is_selecting/2, in_net_kernel/0, select/2, select/3]).

?DOC("Whether the calling process selects the protocol for a connection to `Name@Host`.").
-spec is_selecting(string(), string()) -> boolean().
is_selecting(Name, Host) ->
    in_net_kernel() orelse checks_setup(Name, Host).

?DOC("Whether the calling process is net_kernel.").
-spec in_net_kernel() -> boolean().
in_net_kernel() ->
    whereis(net_kernel) =:= self().

%% OTP 29: net_kernel's own table has this process as the owner of a connection that is
%% `check_pending' (net_kernel:setup_check/5). Whatever else is found there, or is not there yet,
%% only means that Docker is asked once more than needed.
checks_setup(Name, Host) ->
    try ets:lookup(sys_dist, list_to_existing_atom(Name ++ [$@ | Host])) of
        [Connection] ->
            Fields = tuple_to_list(Connection),
            lists:member(check_pending, Fields) andalso lists:member(self(), Fields);
        [] ->
            false
    catch
        error:_ -> false
    end.

?DOC("`select/1` of the protocols: does the name have a shape that this family can reach?").
-spec select(node(), inet | inet6) -> boolean().
select(Node, Family) when is_atom(Node), (Family =:= inet orelse Family =:= inet6) ->
    case dist_util:split_node(Node) of
        {node, Name, Host} -> select(Name, Host, Family);
        _ -> false
    end;
select(_, _) ->
    false.

?DOC("As `select/2`, with the name in two parts.").
-spec select(string(), string(), inet | inet6) -> boolean().
select(Name, Host, Family) ->
    hint(Name, Host, is_long()),
    case inet:parse_strict_address(Host) of
        {ok, Ip} -> family(Ip) =:= Family;
        {error, _} -> not is_known_elsewhere(unicode:characters_to_binary([Name, $@, Host]), Family)
    end.

%% A container that is known, and known to be reached in the other family only: with two protocols
%% the other one gets its turn.
is_known_elsewhere(Node, Family) when is_binary(Node) ->
    case epmd_docker_nif:peek(Node, Family) of
        Kind when Kind =:= on_host; Kind =:= in_container -> is_found(epmd_docker_nif:peek(Node, other(Family)));
        _ -> false
    end;
is_known_elsewhere(_, _) ->
    false.

is_found({found, _, _}) -> true;
is_found(_) -> false.

other(inet) -> inet6;
other(inet6) -> inet.

family(Ip) when tuple_size(Ip) =:= 4 -> inet;
family(_) -> inet6.

%% net_kernel keeps this under a key of its process dictionary (OTP 25 to 29), and can be asked by
%% others.
is_long() ->
    case in_net_kernel() of
        true -> get(longnames);
        false -> net_kernel:longnames()
    end.

%% OTP refuses to mix name domains and says so in its own words; ours say which flag is missing.
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
    case is_binary(Node) andalso kind(epmd_docker_nif:peek(Node, inet)) of
        Scheme ->
            %% In a process of its own: a log handler may wait.
            _ = spawn(fun() ->
                ?LOG_WARNING(#{what => name_domain, node => Node, needs => Flag}, ?LOG_META)
            end),
            ok;
        _ ->
            ok
    end.

kind({found, Kind, _}) -> Kind;
kind(Kind) -> Kind.
