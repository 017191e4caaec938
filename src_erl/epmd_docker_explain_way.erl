%% The second half of explain/1: from an address and a port to the node there, and the causes that
%% take a second look.
-module(epmd_docker_explain_way).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([walk/2, timed/2, refined/3]).

-define(CONNECT_MS, 2000).
-define(ANSWER_MS, 2000).

-type explanation() :: epmd_docker_explain:explanation().
-type query() :: #{node := binary(), name := string(), host := string(), _ => _}.
-type outcome() :: {next, term(), map()} | {stop, epmd_docker_explain:cause(), term(), map()}.

?DOC("Runs one step and writes down what it gave and how long it took.").
-spec timed(epmd_docker_explain:step_name(), fun(() -> outcome())) -> {next | stop, map()}.
timed(Step, Fun) ->
    {Micros, Outcome} = timer:tc(Fun),
    case Outcome of
        {next, Result, E} -> {next, noted(Step, Result, Micros, E)};
        {stop, Cause, Result, E} -> {stop, (noted(Step, Result, Micros, E))#{cause := Cause}}
    end.

noted(_Step, skipped, _Micros, E) ->
    E;
noted(Step, Result, Micros, #{steps := Steps} = E) ->
    E#{steps := [#{step => Step, result => Result, ms => Micros / 1000} | Steps]}.

?DOC("Goes to the place that was found, if one was; the steps are in reverse.").
-spec walk(query(), explanation()) -> explanation().
walk(Query, #{found := #{address := Ip, port := Port}, own := #{family := Family}} = E) ->
    Connect = fun() ->
        case epmd_docker_probe:tcp(Ip, Port, Family, ?CONNECT_MS) of
            {ok, Connection} -> {next, ok, E#{connection => Connection}};
            {error, Reason} -> {stop, {no_connection, {Ip, Port}, Reason}, {error, Reason}, E}
        end
    end,
    case timed(tcp, Connect) of
        {next, Next} -> encrypted(Query, Next);
        {stop, Stopped} -> Stopped
    end;
walk(_Query, #{cause := {not_in_epmd, _, Ip}} = E) ->
    {_, Told} = timed(epmd, fun() -> {next, epmd_names(Ip), E} end),
    Told;
walk(_Query, E) ->
    E.

%% erl_epmd:names/1 has no limit of its own.
epmd_names(Ip) ->
    case epmd_docker_worker:run(fun(Reply, _) -> Reply(erl_epmd:names(Ip)) end, ?ANSWER_MS) of
        {ok, Answer} -> Answer;
        timeout -> {error, timeout};
        {crashed, _} -> {error, einval}
    end.

encrypted(Query, #{own := #{protocol := tcp}} = E) ->
    greeted(Query, E);
encrypted(#{host := Host} = Query, E) ->
    Tls = fun() ->
        {Connection, Rest} = maps:take(connection, E),
        case epmd_docker_probe:tls(Connection, Host, ?ANSWER_MS) of
            {ok, Over} -> {next, ok, Rest#{connection => Over}};
            {error, Why} -> {stop, tls_cause(Why, Host, Rest), {error, Why}, Rest}
        end
    end,
    case timed(tls, Tls) of
        {next, Next} -> greeted(Query, Next);
        {stop, Stopped} -> Stopped
    end.

%% What has a certificate to complain about speaks TLS. Of anything else it helps to know what it
%% does speak.
tls_cause({tls_alert, Alert, Whose}, _Host, _E) when
    Alert =/= unexpected_message, Alert =/= protocol_version, Alert =/= internal_error
->
    {tls_alert, Alert, Whose};
tls_cause(Why, Host, #{found := #{address := Ip, port := Port}, own := #{family := Family}} = E) ->
    case epmd_docker_probe:tcp(Ip, Port, Family, ?CONNECT_MS) of
        {ok, Connection} ->
            Answer = epmd_docker_probe:hello(Connection, Host, ?ANSWER_MS),
            ok = epmd_docker_probe:close(Connection),
            plain_cause(Answer, Why, E);
        {error, _} ->
            cause(Why, E)
    end.

plain_cause({ok, _}, _Why, E) -> {speaks_plain_tcp, place(E)};
plain_cause({error, {status, _}}, _Why, E) -> {speaks_plain_tcp, place(E)};
plain_cause({error, {not_erlang, _} = Other}, _Why, E) -> cause(Other, E);
plain_cause({error, _}, Why, E) -> cause(Why, E).

place(#{found := #{address := Ip, port := Port}}) -> {Ip, Port}.

%% What came instead of a node's answer.
cause(closed, E) -> {hung_up, place(E)};
cause(timeout, E) -> {no_answer, place(E)};
cause(speaks_tls, E) -> {speaks_tls, place(E)};
cause({not_erlang, Head}, E) -> {not_erlang, place(E), Head};
cause({status, <<"not_allowed">>}, _E) -> not_allowed;
cause({status, Text}, _E) -> {status, Text};
cause({tls_alert, Alert, Whose}, _E) -> {tls_alert, Alert, Whose};
cause({tls, Detail}, _E) -> {tls_failed, Detail}.

%% ---------------------------------------------------------------------------------------------
%% The handshake
%% ---------------------------------------------------------------------------------------------

greeted(Query, E) ->
    {Connection, Rest} = maps:take(connection, E),
    Hello = fun() ->
        case epmd_docker_probe:hello(Connection, own_host(), ?ANSWER_MS) of
            {ok, #{name := Actual} = Hello} -> {next, {ok, Actual}, Rest#{actual => Actual, hello => Hello}};
            {error, Why} -> {stop, cause(Why, Rest), {error, Why}, Rest}
        end
    end,
    Told =
        case timed(handshake, Hello) of
            {next, Next} -> named(Query, Connection, Next);
            {stop, #{cause := not_allowed} = Stopped} -> with_own_name(Query, Stopped);
            {stop, Stopped} -> Stopped
        end,
    ok = epmd_docker_probe:close(Connection),
    maps:remove(hello, Told).

%% is_alive/0 is also true of a node that gets its name with its first connection.
has_name() -> node() =/= nonode@nohost.

own_host() ->
    case node() of
        nonode@nohost -> element(2, {ok, _} = inet:gethostname());
        Own -> lists:last(string:split(atom_to_list(Own), "@"))
    end.

named(#{node := Node} = Query, Connection, #{actual := Node} = E) ->
    Check = fun() -> cookie(Connection, cookie_for(Node), E) end,
    case timed(cookie, Check) of
        {next, Next} -> connected_or(Query, Next);
        {stop, Stopped} -> Stopped
    end;
named(_Query, _Connection, #{actual := Actual} = E) ->
    E#{cause := {other_name, Actual}}.

cookie(_Connection, nocookie, E) ->
    {next, {error, no_cookie}, E#{cause := {cookie_not_checked, no_cookie}}};
cookie(Connection, Cookie, #{hello := Hello} = E) ->
    case epmd_docker_probe:cookie(Connection, Hello, Cookie, ?ANSWER_MS) of
        ok -> {next, ok, E};
        {error, refused} -> {stop, wrong_cookie, {error, refused}, E};
        {error, Why} -> {stop, cause(Why, E), {error, Why}, E}
    end.

%% As the distribution of this node would take it, where there is one.
cookie_for(Node) ->
    case has_name() andalso own_cookie(Node) of
        Cookie when Cookie =:= false; Cookie =:= nocookie -> epmd_docker_explain_cli:cookie(Node);
        Cookie -> Cookie
    end.

%% A name that is no atom here has no cookie of its own.
own_cookie(Node) ->
    try erlang:get_cookie(binary_to_existing_atom(Node))
    catch error:badarg -> erlang:get_cookie()
    end.

%% It is as it should be. What is left is what speaks against this very node.
connected_or(#{node := Node} = Query, #{cause := Cause} = E) ->
    Connected = [atom_to_binary(Other) || Other <- erlang:nodes(connected)],
    case {has_name(), lists:member(Node, Connected)} of
        {true, true} -> E#{cause := connected};
        {true, false} -> with_own_name(Query, E);
        {false, _} -> E#{cause := Cause}
    end.

%% The other side is told our own name and nothing more: it then takes us for a node that begins to
%% connect and hangs up, and says if it has a connection with that name.
with_own_name(_Query, #{own := #{node := Own}} = E) ->
    Ask = fun() ->
        case own_status(E) of
            {ok, <<"alive">>} -> {stop, {name_taken, Own}, {error, alive}, E};
            {ok, <<"not_allowed">>} -> {stop, not_allowed, {error, not_allowed}, E};
            {ok, Status} -> {next, {ok, Status}, allowed(E)};
            {error, Why} -> {stop, cause(Why, E), {error, Why}, E}
        end
    end,
    case has_name() of
        true ->
            {_, Told} = timed(own_name, Ask),
            in_use(Told);
        false ->
            E
    end.

%% It allows only certain nodes, and we are one.
allowed(#{cause := not_allowed} = E) -> E#{cause := {cookie_not_checked, not_allowed_without_name}};
allowed(E) -> E.

own_status(#{own := #{node := Own, protocol := Protocol, family := Family}} = E) ->
    {Ip, Port} = place(E),
    case epmd_docker_probe:tcp(Ip, Port, Family, ?CONNECT_MS) of
        {ok, Tcp} -> over(Protocol, Tcp, fun(Connection) ->
                epmd_docker_probe:status_of(Connection, Own, ?ANSWER_MS)
            end, E);
        {error, timeout} -> {error, timeout};
        {error, _} -> {error, closed}
    end.

over(tcp, Connection, Fun, _E) ->
    Result = Fun(Connection),
    ok = epmd_docker_probe:hang_up(Connection, ?ANSWER_MS),
    Result;
over(tls, Tcp, Fun, #{node := Node} = E) ->
    [_, Host] = string:split(unicode:characters_to_list(Node), "@"),
    case epmd_docker_probe:tls(Tcp, Host, ?ANSWER_MS) of
        {ok, Connection} -> over(tcp, Connection, Fun, E);
        {error, _} = Error -> Error
    end.

in_use(#{cause := none} = E) ->
    case net_kernel:epmd_module() of
        epmd_docker -> E;
        Other -> E#{cause := {not_in_use, Other}}
    end;
in_use(E) ->
    E.

%% ---------------------------------------------------------------------------------------------
%% Causes that take a second look
%% ---------------------------------------------------------------------------------------------

?DOC("The cause for a look-up that failed: where there are only addresses of the other family, that.").
-spec refined(epmd_docker:reason(), query(), explanation()) -> epmd_docker_explain:cause().
refined({dns, _, eafnosupport}, _Query, #{own := #{family := Family}}) ->
    {only_family, other(Family)};
refined({dns, Host, nxdomain} = Reason, _Query, #{own := #{family := Family}}) ->
    Ask = fun(Reply, _) -> Reply(inet:getaddr(unicode:characters_to_list(Host), other(Family))) end,
    case epmd_docker_worker:run(Ask, ?ANSWER_MS) of
        {ok, {ok, _}} -> {only_family, other(Family)};
        _ -> Reason
    end;
refined(Reason, _Query, #{candidates := Candidates, own := #{family := Family}}) when
    element(1, Reason) =:= not_published; element(1, Reason) =:= no_network
->
    case lists:any(fun is_of_other_family/1, Candidates) of
        true -> {only_family, other(Family)};
        false -> Reason
    end;
refined(Reason, _Query, _E) ->
    Reason.

is_of_other_family(#{verdict := {refused, other_family}}) -> true;
is_of_other_family(_) -> false.

other(inet) -> inet6;
other(inet6) -> inet.
