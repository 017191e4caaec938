%% Says in the log why a connection was not made after its address was found.
%%
%% OTP ends the process of a connection with the reason and logs nothing of its own; ssl logs the
%% alert, but not which node it was about. So that process is watched from outside for as long as
%% a handshake may take. Reasons as of dist_util and inet_tls_dist, OTP 25 to 29.
-module(epmd_docker_handshake).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([watch/3, spawn_watch/2, tls_alert/1, format_alert/3, speaks_tls/0]).

-export_type([whose/0]).

%% Where the connection goes to.
-type place() :: #{address := inet:ip_address(), port := inet:port_number(), _ => _}.
%% Text for the log: why, and what to look at.
-type why() :: unicode:chardata().
%% Whose certificate, or other fault, an alert is about; other_host is always one shown to us.
-type whose() :: ours | theirs | other_host.

?DOC("As `watch/3`, in a process of its own; the caller is the connection.").
-spec spawn_watch(Node :: binary(), place()) -> ok.
spawn_watch(Node, Found) ->
    Connection = self(),
    _ = spawn(fun() -> watch(Node, Found, erlang:monitor(process, Connection)) end),
    ok.

?DOC("""
Waits until the monitored process of a connection to `Node` ends, or its handshake must be over:
it goes on as the connection itself if all goes well.
""").
-spec watch(Node :: binary(), place(), Connection :: reference()) -> ok.
watch(Node, Found, Connection) ->
    receive
        {'DOWN', Connection, process, _, Reason} ->
            ok = doubt(Reason, Node),
            failed(Reason, Node, Found)
    after handshake_time() -> ok
    end.

%% Refused or of another name: the next attempt is not sent there from memory. A connection does not
%% end normally; somebody else has asked then.
doubt(normal, _Node) ->
    ok;
doubt(noproc, _Node) ->
    ok;
doubt(_Reason, Node) ->
    _ = epmd_docker_nif:doubt(Node),
    ok.

handshake_time() ->
    case application:get_env(kernel, net_setuptime) of
        {ok, Seconds} when is_number(Seconds) -> round(Seconds * 1000) + 1000;
        _ -> 8000
    end.

failed({recv_challenge_failed, no_node, Actual}, Node, _Found) when is_list(Actual) ->
    ?LOG_WARNING(#{what => other_name, asked => Node, actual => Actual}, ?LOG_META);
failed(Reason, Node, #{address := Ip, port := Port}) ->
    case why(Reason, Node) of
        "" ->
            ok;
        Why ->
            ?LOG_WARNING(
                #{what => no_handshake, node => Node, address => Ip, port => Port, why => Why,
                    reason => Reason},
                ?LOG_META)
    end.

-spec why(term(), binary()) -> why().
why(Reason, Node) ->
    case alert(Reason) of
        {Alert, Text} -> alert(Alert, origin(Text), Text, host(Node));
        none -> silence(Reason)
    end.

%% With TLS 1.3 the other side refuses our certificate after ssl:connect has succeeded here, so
%% the alert comes with any later step.
alert({tls_alert, {Alert, Text}}) -> {Alert, Text};
alert(Tuple) when is_tuple(Tuple) -> alert_in(tuple_to_list(Tuple));
alert(_) -> none.

alert_in([]) ->
    none;
alert_in([Term | Terms]) ->
    case alert(Term) of
        none -> alert_in(Terms);
        Found -> Found
    end.

?DOC("The alert that ssl ends a connection with, and whose fault it found; `none` for anything else.").
-spec tls_alert(term()) -> {Alert :: atom(), whose()} | none.
tls_alert(Reason) ->
    case alert(Reason) of
        {Alert, Text} -> {Alert, origin(Text)};
        none -> none
    end.

?DOC("A sentence for an alert in a connection to that host.").
-spec format_alert(atom(), whose(), Host :: string()) -> why().
format_alert(Alert, Whose, Host) ->
    alert(Alert, Whose, "", Host).

%% ssl's text is the only place that tells who found fault.
origin(Text) ->
    case string:find(Text, "hostname_check_failed") of
        nomatch ->
            case string:find(Text, " received ") of
                nomatch -> theirs;
                _ -> ours
            end;
        _ ->
            other_host
    end.

-spec alert(atom(), whose(), string(), string()) -> why().
alert(_, other_host, _, Host) ->
    ["the certificate that it showed is not for '", Host, "', the part of its node name after the @"];
alert(unknown_ca, theirs, _, _) ->
    "the certificate that it showed is not signed by a CA in the cacertfile of this node";
alert(unknown_ca, ours, _, _) ->
    "it does not know the CA that signed the certificate of this node";
alert(certificate_expired, theirs, _, _) ->
    "the certificate that it showed has expired, or is not valid yet";
alert(certificate_expired, ours, _, _) ->
    "it says that the certificate of this node has expired, or is not valid yet";
alert(certificate_required, ours, _, _) ->
    "it wants a certificate and this node has shown none (certfile)";
alert(protocol_version, _, _, _) ->
    "it has no TLS version in common with this node (versions)";
alert(unexpected_message, theirs, _, _) ->
    "what answers there does not speak TLS";
alert(Alert, _, "", _) ->
    io_lib:format("TLS alert ~tp", [Alert]);
alert(Alert, _, Text, _) ->
    io_lib:format("TLS alert ~tp (~ts)", [Alert, string:trim(Text)]).

%% A plain node takes the first bytes of TLS for the length of a long packet and waits for the
%% rest; a TLS node hangs up on a plain one.
silence(setup_timer_timeout) -> silent(speaks_tls());
silence({ssl_connect_failed, _, _, {error, timeout}}) -> silent(true);
silence({ssl_connect_failed, _, _, {error, closed}}) -> hung_up(true);
silence({recv_status_failed, {error, closed}}) -> hung_up(speaks_tls());
silence(_) -> "".

silent(true) -> "it does not answer: a node that speaks plain TCP, without TLS, does that";
silent(false) -> "it does not answer".

hung_up(true) -> "it hung up: it stops, or what listens there does not speak TLS";
hung_up(false) -> "it hung up: it stops, or it expects TLS, or nothing listens behind a published port".

?DOC("Whether the distribution of this node is over TLS.").
-spec speaks_tls() -> boolean().
speaks_tls() ->
    case init:get_argument(proto_dist) of
        {ok, Given} -> lists:any(fun(Proto) -> lists:suffix("_tls", Proto) end, lists:append(Given));
        error -> false
    end.

host(Node) ->
    [_, Host] = string:split(unicode:characters_to_list(Node), "@"),
    Host.
