%% explain/1 for people: the cause in the first line, then what each step saw.
-module(epmd_docker_explain_text).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([format/1, first_line/1, shown/1]).

-type explanation() :: epmd_docker_explain:explanation().

-define(NAMES, 10).

?DOC("All of it; each line ends with a newline.").
-spec format(explanation()) -> unicode:chardata().
format(#{kind := Kind, steps := Steps, settings := Settings, candidates := Candidates} = E) ->
    [
        first_line(E), $\n,
        section("name", [kind(Kind)]),
        section("this node", [own(E)]),
        section("daemon", daemon(E)),
        section("port", port(E)),
        section("ways", [candidate(One) || One <- Candidates]),
        section("steps", [step(One, E) || One <- Steps]),
        section("settings", [setting(One) || One <- lists:sort(maps:to_list(Settings))])
    ].

section(_Title, []) -> [];
section(Title, [First | Rest]) ->
    [line(Title, First) | [line("", Line) || Line <- Rest]].

line(Title, Text) -> f("  ~-10ts ~ts~n", [Title, clean(Text)]).

%% What others call themselves, or say, must not steer the terminal that it is shown on.
clean(Text) ->
    [case C < 32 orelse C >= 127 andalso C < 160 of true -> $.; false -> C end
     || C <- unicode:characters_to_list(Text)].

?DOC("The name and the cause.").
-spec first_line(explanation()) -> unicode:chardata().
first_line(#{node := Node, cause := Cause} = E) ->
    clean(f("'~ts' ~ts: ~ts", [Node, verdict(Cause), sentence(Cause, E)])).

?DOC("Any term as the text of a node name, shortened.").
-spec shown(term()) -> binary().
shown(Term) ->
    unicode:characters_to_binary(f("~0tP", [Term, 20])).

verdict(none) -> "can be reached";
verdict(connected) -> "is connected";
verdict(this_node) -> "is this node";
verdict({cookie_not_checked, _}) -> "may be reached";
verdict({not_in_use, _}) -> "is not looked up by this library";
verdict(_) -> "cannot be reached".

%% ---------------------------------------------------------------------------------------------
%% A sentence for each cause
%% ---------------------------------------------------------------------------------------------

sentence(none, E) ->
    f("a node of that name answers at ~ts and takes our cookie", [place(E)]);
sentence(connected, _) ->
    "there is a connection to it, and a new one would be made as well";
sentence(this_node, _) ->
    "no connection is made to oneself";
sentence({cookie_not_checked, no_cookie}, E) ->
    f("a node of that name answers at ~ts; without a cookie of ours (-setcookie) it was not asked "
        "for more", [place(E)]);
sentence({cookie_not_checked, not_allowed_without_name}, E) ->
    f("the node at ~ts lets only certain nodes connect (net_kernel:allow/1) and this one is among "
        "them; whether it takes our cookie cannot be found out from here", [place(E)]);
sentence({not_in_use, Module}, _) ->
    f("this node was started with the epmd module ~ts, not with -epmd_module epmd_docker; with it "
        "the node would be reached", [Module]);
sentence({name_domain, long}, _) ->
    "it is a long name, and this node has a short one: only a node that was started with -name "
    "can connect to it";
sentence({name_domain, short}, _) ->
    "it is a short name, and this node has a long one: only a node that was started with -sname "
    "can connect to it";
sentence({only_family, Family}, _) ->
    f("it has only ~ts addresses, and this node speaks ~ts: use -proto_dist ~ts",
        case Family of
            inet6 -> ["IPv6", "IPv4", "eid6_tcp or its like (inet6_tcp, inet6_tls)"];
            inet -> ["IPv4", "IPv6", "eid_tcp or its like (inet_tcp, inet_tls)"]
        end);
sentence({other_name, Actual}, _) ->
    f("the node there calls itself '~ts': connect to that name, since Erlang insists that both "
        "are the same", [Actual]);
sentence(wrong_cookie, E) ->
    f("the node at ~ts refuses our cookie: it has another one", [place(E)]);
sentence(not_allowed, E) ->
    f("the node at ~ts lets only certain nodes connect (net_kernel:allow/1), and this one is not "
        "among them", [place(E)]);
sentence({name_taken, Own}, _) ->
    f("it has a connection already with a node that calls itself '~ts' as this one does, or has "
        "not noticed yet that our last one ended", [Own]);
sentence({nif_not_loaded, Detail}, _) ->
    f("the native library is not loaded, so Docker cannot be asked: ~ts", [Detail]);
sentence(timeout, #{daemon := Daemon} = E) ->
    case result(docker, E) of
        {error, timeout} -> f("the Docker daemon at ~ts does not answer in time", [Daemon]);
        _ -> epmd_docker_reason:sentence(timeout)
    end;
sentence({not_in_epmd, Name, Ip}, E) ->
    in_epmd(Name, Ip, result(epmd, E));
sentence(Cause, E) ->
    there(Cause, E).

%% What is at the place that was found, or not.
there({no_connection, Place, econnrefused}, E) ->
    f("nothing listens at ~ts~ts", [at(Place), port_hint(E)]);
there({no_connection, Place, timeout}, _) ->
    f("no connection to ~ts within 2 s: a firewall, or no such host", [at(Place)]);
there({no_connection, Place, Posix}, _) ->
    f("no connection to ~ts: ~ts", [at(Place), inet:format_error(Posix)]);
there({no_answer, Place}, _) ->
    f("what listens at ~ts does not answer: it is no Erlang node, or one that is stopped", [at(Place)]);
there({hung_up, Place}, #{found := #{source := published}}) ->
    f("what listens at ~ts hangs up: Docker does so for a published port with nothing behind it", [at(Place)]);
there({hung_up, Place}, _) ->
    f("what listens at ~ts hangs up: it is no Erlang node, or one that speaks TLS", [at(Place)]);
there({not_erlang, Place, Head}, _) ->
    f("something else than an Erlang node listens at ~ts: it says \"~ts\"", [at(Place), Head]);
there({speaks_tls, Place}, _) ->
    f("what listens at ~ts speaks TLS, and this node does not: use -proto_dist eid_tls or its like", [at(Place)]);
there({speaks_plain_tcp, Place}, _) ->
    f("the node at ~ts speaks plain TCP, and this one TLS: both need the same -proto_dist", [at(Place)]);
there({tls_alert, Alert, Whose}, #{node := Node}) ->
    [_, Host] = string:split(unicode:characters_to_list(Node), "@"),
    f("no TLS with the node there: ~ts", [epmd_docker_handshake:format_alert(Alert, Whose, Host)]);
there({tls_failed, Detail}, _) ->
    f("no TLS with the node there: ~0tP", [Detail, 20]);
there({status, Text}, _) ->
    f("the node there refuses us with the word \"~ts\"", [epmd_docker_probe:head(Text)]);
there(Reason, _) ->
    epmd_docker_reason:sentence(Reason).

in_epmd(Name, Ip, {ok, []}) ->
    f("the epmd at ~ts knows no node ~ts, nor any other", [inet:ntoa(Ip), Name]);
in_epmd(Name, Ip, {ok, Names}) ->
    f("the epmd at ~ts knows no node ~ts, only ~ts", [inet:ntoa(Ip), Name,
        lists:join(", ", [Known || {Known, _} <- lists:sublist(Names, ?NAMES)])]);
in_epmd(Name, Ip, _) ->
    f("no epmd answers at ~ts, so the port of ~ts is not known: a label epmd-docker.port, "
        "ERL_DIST_PORT or the setting remote_port could tell it", [inet:ntoa(Ip), Name]).

port_hint(#{port_from := remote_port} = E) -> own_port(E);
port_hint(#{found := #{source := fixed_port}} = E) -> own_port(E);
port_hint(#{port_from := default}) ->
    ", the port that is expected where nothing tells another one (a label epmd-docker.port, ERL_DIST_PORT)";
port_hint(#{port_from := environment}) -> ", the port that ERL_DIST_PORT in the container's environment tells";
port_hint(#{port_from := label}) -> ", the port that a label of the container tells";
port_hint(#{found := #{source := table}}) -> ", which the node table tells";
port_hint(_) -> "".

own_port(_) ->
    ", the port that this node expects others at (remote_port, or its own ERL_DIST_PORT); does the "
    "other one have another ERL_DIST_PORT?".

%% ---------------------------------------------------------------------------------------------
%% The other lines
%% ---------------------------------------------------------------------------------------------

kind(table) -> "in the node table";
kind(on_host) -> "ContainerId@HostAddr: the Docker daemon of that host is asked";
kind(in_container) -> "Name@ContainerRef: the local Docker daemon is asked";
kind(other) -> "none of Docker's: looked up as in stock Erlang";
kind(unknown) -> "not known".

own(#{own := #{node := Own, protocol := Protocol, family := Family}}) ->
    f("~ts, ~ts over ~ts", [
        case Own of nonode@nohost -> "no distribution"; _ -> Own end,
        case Protocol of tls -> "TLS"; tcp -> "TCP" end,
        case Family of inet -> "IPv4"; inet6 -> "IPv6" end
    ]).

daemon(#{daemon := Daemon, container := #{id := Id, name := Name, hostname := Hostname}}) ->
    [f("~ts: container ~ts, name ~ts, hostname ~ts", [Daemon, binary:part(Id, 0, 12), Name, Hostname])];
daemon(#{daemon := Daemon}) -> [Daemon];
daemon(_) -> [].

port(#{port_from := From}) -> ["told by " ++ port_from(From)];
port(_) -> [].

port_from(label) -> "a label of the container";
port_from(environment) -> "ERL_DIST_PORT in the container's environment";
port_from(remote_port) -> "the setting remote_port";
port_from(default) -> "nobody: the default";
port_from(epmd) -> "the container's epmd";
port_from(table) -> "the node table".

candidate(#{address := Address, port := Port, via := Via, verdict := Verdict}) ->
    f("~ts ~ts: ~ts", [via(Via), target(Address, Port), verdict_on(Verdict)]).

via({container, Network}) -> ["network ", Network];
via(published) -> "published port";
via(host_network) -> "network of the host";
via(table) -> "node table";
via(fixed_port) -> "DNS and fixed port";
via(epmd) -> "DNS and epmd".

target(undefined, undefined) -> "-";
target(undefined, Port) -> f("port ~tp", [Port]);
target(Address, undefined) -> inet:ntoa(Address);
target(Address, epmd) -> [inet:ntoa(Address), " (port from its epmd)"];
target(Address, Port) -> at({Address, Port}).

verdict_on(taken) -> "taken";
verdict_on(spare) -> "would do, but another one comes first";
verdict_on({refused, Why}) -> ["not taken, ", refused(Why)].

refused(not_wanted) -> "by the setting address";
refused(name_of_host) -> "since the name asks for the port on the host";
refused(other_host) -> "since its daemon is on another machine";
refused(other_network) -> "since another network is asked for (setting network, or label)";
refused(other_family) -> "since it is of the other address family";
refused(not_shared) -> "since this machine is not on that network";
refused(not_published) -> "since that port is not published";
refused(port_unknown) -> "since only the epmd inside knows the port";
refused(loopback_only) -> "since it is the loopback of its host";
refused(no_host_address) -> "since the host has no address of this family";
refused(in_container) -> "since this node is itself in a container";
refused(host_not_allowed) -> "by the setting allowed_hosts";
refused(Other) -> atom_to_list(Other).

step(#{step := Step, result := Result, ms := Ms}, E) ->
    f("~-12ts~9.1f ms  ~ts", [atom_to_list(Step), Ms, outcome(Step, Result, E)]).

outcome(_, ok, _) -> "ok";
outcome(lookup, {ok, Place}, _) -> at(Place);
outcome(library, {ok, _}, _) -> "ok";
outcome(docker, {ok, _}, _) -> "it knows the container, which runs";
outcome(handshake, {ok, Actual}, _) -> f("a node that calls itself '~ts'", [Actual]);
outcome(own_name, {ok, Status}, _) -> f("our name is answered with ~ts", [Status]);
outcome(epmd, {ok, Names}, _) -> f("it knows ~b nodes", [length(Names)]);
outcome(epmd, {error, Reason}, _) -> f("no answer (~tp)", [Reason]);
outcome(_, {ok, Term}, _) -> f("~0tP", [Term, 20]);
outcome(Step, {error, Reason}, _) when Step =:= docker; Step =:= lookup; Step =:= library; Step =:= settings ->
    epmd_docker_reason:sentence(Reason);
outcome(_, {error, Reason}, _) -> f("~0tP", [Reason, 20]).

setting({Key, {undefined, default}}) ->
    f("~ts is not set", [Key]);
setting({Key, {Value, Source}}) ->
    f("~ts = ~ts (~ts)", [Key, value(Value), epmd_docker_options:format_source(Source)]).

value(Value) ->
    case io_lib:printable_unicode_list(Value) andalso Value =/= [] of
        true -> string:slice(Value, 0, 200);
        false -> f("~0tP", [Value, 20])
    end.

result(Step, #{steps := Steps}) ->
    case [Result || #{step := Name, result := Result} <- Steps, Name =:= Step] of
        [Result | _] -> Result;
        [] -> none
    end.

place(#{found := #{address := Ip, port := Port}}) -> at({Ip, Port});
place(_) -> "its address".

at({Ip, Port}) when tuple_size(Ip) =:= 8 -> f("[~ts]:~b", [inet:ntoa(Ip), Port]);
at({Ip, Port}) -> f("~ts:~b", [inet:ntoa(Ip), Port]).

f(Format, Arguments) -> io_lib:format(Format, Arguments).
