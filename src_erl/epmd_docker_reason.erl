%% A sentence for each reason, see epmd_docker:reason().
-module(epmd_docker_reason).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([sentence/1]).

?DOC("See `epmd_docker:format_error/1`. What is like a reason, with something else in it, is shown as it is.").
-spec sentence(term()) -> unicode:chardata().
sentence(Reason) ->
    try unicode:characters_to_list(format(Reason)) of
        Text when is_list(Text) -> Text;
        _ -> f("~0tp", [Reason])
    catch
        error:_ -> f("~0tp", [Reason])
    end.

-spec format(term()) -> unicode:chardata().
format(no_such_container) ->
    "Docker knows no such container";
format({not_running, State}) ->
    f("the container is not running: its state is ~ts", [State]);
format({ambiguous, Ids}) ->
    f("several containers fit that name: ~ts; use an id, or the setting network", [list(Ids)]);
format({not_published, 4369}) ->
    "the container is on no network that can be reached from here, and without a label "
    "epmd-docker.port or ERL_DIST_PORT only its own epmd could tell which published port is the "
    "node's";
format({not_published, Port}) ->
    f("port ~b of the container is not published, or not for the address family of this node: "
        "start it with -p ~b, or use a network that both share", [Port, Port]);
format({loopback_only, Port}) ->
    f("port ~b of the container is published on the loopback address of its host only, which "
        "is of no use from here", [Port]);
format({no_network, []}) ->
    "the container is on no network that can be reached from here";
format({no_network, Networks}) ->
    f("the container is on no network that can be reached from here; it is on ~ts", [list(Networks)]);
format({host_not_allowed, Host}) ->
    f("~ts is not among the allowed_hosts, so it is not contacted", [Host]);
format({bad_node_name, Name}) ->
    f("~ts is not a node name", [Name]);
format({bad_subscription, Options}) ->
    f("~0tp is not what one can subscribe to: a map of host or hosts, project and labels", [Options]);
format({bad_host, Host}) ->
    f("~0tP is not a host name or address", [Host, 20]);
format({bad_port, Port}) ->
    f("~0tP is not a port from 1 to 65535", [Port, 20]);
format({connect, Endpoint, Posix}) ->
    f("no connection to the Docker daemon at ~ts: ~ts", [Endpoint, posix(Posix)]);
format({tls, Endpoint, Detail}) ->
    f("no TLS connection to the Docker daemon at ~ts: ~ts", [Endpoint, epmd_docker_tls:format(Detail)]);
format({context, Name, Fault}) ->
    epmd_docker_context:format(Name, Fault);
format({status, Code, Message}) ->
    f("the Docker daemon answered ~b: ~ts", [Code, Message]);
format({bad_response, Detail}) ->
    f("the Docker daemon's answer makes no sense: ~ts", [Detail]);
format({too_large, Bytes}) ->
    f("the Docker daemon's answer is larger than the limit: ~b bytes", [Bytes]);
format({not_in_epmd, Name, Ip}) ->
    f("epmd at ~ts does not answer or knows no node ~ts", [inet:ntoa(Ip), Name]);
format({dns, Host, eafnosupport}) ->
    f("~ts has no address of the family that this node speaks (IPv4, or IPv6 by -proto_dist "
        "eid6_tcp and its like)", [Host]);
format({dns, Host, Posix}) ->
    f("the host name ~ts has no address: ~ts", [Host, posix(Posix)]);
format(timeout) ->
    "nobody answered in time";
format(busy) ->
    "too many lookups are under way";
format(not_watched) ->
    "the setting watch is false, so nobody can be told what happens at Docker";
format(cancelled) ->
    "the lookup was cancelled";
format({nif_not_loaded, Detail}) ->
    f("the native library is not loaded: ~ts", [Detail]);
format({bad_setting, _, _, _, _} = Bad) ->
    epmd_docker_options:format_error(Bad);
format(Other) ->
    f("~tp", [Other]).

f(Format, Arguments) -> io_lib:format(Format, Arguments).

list(Items) -> lists:join(", ", Items).

posix(Posix) ->
    case inet:format_error(Posix) of
        "unknown POSIX error" ++ _ -> atom_to_list(Posix);
        Text -> f("~ts (~ts)", [Text, Posix])
    end.
