%% The sentences of this library's log events. Every event is a report
%% #{what := atom(), ...}; format/1 is their report_cb.
-module(epmd_docker_log).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([format/1]).

?DOC("The format and arguments for one report, as `logger:report_cb/0` wants it.").
-spec format(map()) -> {io:format(), [term()]}.
format(#{what := nif_not_loaded, detail := Detail}) ->
    {"epmd_docker: the native library is not loaded (~ts), so Docker names and the node table "
        "do not work, while DNS, a fixed port and epmd do; build it with `rebar3 compile`, or "
        "put epmd_docker_nif.so for this machine into the application's priv directory",
        [Detail]};
format(#{what := port_taken, port := Port}) ->
    {"epmd_docker: distribution port ~b is already taken here, so this node listens on any free "
        "port: it can connect to others, but others will not find it", [Port]};
format(#{what := other_name, asked := Asked, actual := Actual}) ->
    {"epmd_docker: the node asked for as '~ts' calls itself '~ts': connect to that name, since "
        "Erlang insists that both are the same", [Asked, Actual]};
format(#{what := no_handshake, node := Node, address := Ip, port := Port, why := Why}) ->
    {"epmd_docker: no connection to '~ts' at ~ts port ~b: ~ts", [Node, inet:ntoa(Ip), Port, Why]};
format(#{what := name_domain, node := Node, needs := Flag}) ->
    {"epmd_docker: '~ts' can only be reached by a node that was started with ~ts: Erlang does "
        "not mix short and long names", [Node, Flag]};
format(#{what := epmd_unreachable, reason := Reason}) ->
    {"epmd_docker: this node is not registered with epmd (~tp): it can connect to others, and "
        "others find it only if they know its port", [Reason]};
format(#{what := bad_setting, line := Line}) ->
    {"~ts", [Line]};
format(#{what := epmd_module_missing}) ->
    {"epmd_docker: -proto_dist names one of its protocols, but -epmd_module epmd_docker is "
        "missing, so nodes are looked for with epmd", []};
%% Of a config.json that cannot be read; as docker's own client does.
format(#{what := not_watched, reason := {context, _, _} = Reason}) ->
    {"epmd_docker: ~ts; the default Docker daemon is used", [epmd_docker:format_error(Reason)]};
format(#{what := not_watched, daemon := Daemon, reason := Reason}) ->
    {"epmd_docker: the events or the list of the Docker daemon at ~ts cannot be had (~ts), so it is "
        "asked at each lookup; a proxy before it has to allow GET /events and /containers/json for "
        "answers from memory, and watch = false says that it need not",
        [Daemon, epmd_docker:format_error(Reason)]};
format(#{what := daemon_down, daemon := Daemon, reason := Reason} = Report) ->
    {"epmd_docker: the Docker daemon at ~ts cannot be reached any more (~ts); what was known of its "
        "containers serves as the last known~ts", [Daemon, epmd_docker:format_error(Reason), changes(Report)]};
format(#{what := daemon_up, daemon := Daemon} = Report) ->
    {"epmd_docker: the Docker daemon at ~ts is back~ts", [Daemon, changes(Report)]};
format(#{what := lookup_failed, node := Node, reason := Reason}) ->
    {"epmd_docker: no address for '~ts': ~ts", [Node, epmd_docker:format_error(Reason)]};
format(#{what := crash, where := Where, reason := Reason}) ->
    {"epmd_docker: internal error in ~tp: ~tp", [Where, Reason]};
format(Report) ->
    {"epmd_docker: ~tp", [Report]}.

changes(#{changes := Changes}) when Changes > 1 ->
    [" (it has come and gone ", integer_to_list(Changes), " times since the last line about it)"];
changes(_) ->
    "".
