%% explain/1: every step that a connection to a node would take, what each one gave, and the cause.
%%
%% Runs in a process of its own with a limit, never in net_kernel. It asks as a connection would
%% (epmd_docker_lookup), and asks the daemon once more for what a lookup does not tell.
-module(epmd_docker_explain).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([run/1]).

-export_type([explanation/0, cause/0, step/0, step_name/0, candidate/0, kind/0]).

%% What came out; whatever is missing was not got to.
-type explanation() :: #{
    cause := cause(),
    node := binary(),
    kind := kind(),
    steps := [step()],
    %% The settings that matter for this name, with where each came from.
    settings := #{atom() => {Value :: term(), Source :: term()}},
    candidates := [candidate()],
    %% Whose view this is, and over what it would connect.
    own := #{node := node(), protocol := tcp | tls, family := inet | inet6},
    %% The daemon that was asked.
    daemon => binary(),
    container => #{id := binary(), name := binary(), hostname := binary(), daemon := binary()},
    %% What told the distribution port in the container.
    port_from => label | environment | remote_port | default | epmd | table,
    found => epmd_docker_lookup:found(),
    %% What the node there calls itself.
    actual => binary()
}.
%% What the name is: of the node table, of Docker's two kinds, or stock Erlang's.
-type kind() :: table | on_host | in_container | other | unknown.
-type candidate() ::
    epmd_docker_nif:candidate()
    | #{
        address := inet:ip_address(),
        port := inet:port_number(),
        via := epmd_docker_lookup:source(),
        verdict := taken
    }.
-type step_name() ::
    name | settings | library | docker | lookup | epmd | tcp | tls | handshake | name_there | cookie
    | own_name.
-type step() :: #{step := step_name(), result := ok | {ok, term()} | {error, term()}, ms := float()}.
-type place() :: {inet:ip_address(), inet:port_number()}.
%% Why there is no connection; each has a sentence (epmd_docker_explain_text).
-type cause() ::
    %% There is nothing wrong, or it is connected even.
    none
    | connected
    | this_node
    | {cookie_not_checked, no_cookie | not_allowed_without_name}
    | {not_in_use, EpmdModule :: module()}
    | {name_domain, Needs :: short | long}
    | {only_family, inet | inet6}
    | {no_connection, place(), inet:posix() | timeout}
    | {no_answer, place()}
    | {hung_up, place()}
    | {not_erlang, place(), Head :: binary()}
    | {speaks_tls, place()}
    | {speaks_plain_tcp, place()}
    | {tls_alert, Alert :: atom(), epmd_docker_handshake:whose()}
    | {tls_failed, Detail :: term()}
    | {other_name, Actual :: binary()}
    | wrong_cookie
    | not_allowed
    | {name_taken, node()}
    | {status, Text :: binary()}
    %% No address was found.
    | epmd_docker:reason().
-type query() :: #{node := binary(), name := string(), host := string(), _ => _}.
-type outcome() :: {next, term(), map()} | {stop, cause(), term(), map()}.

%% Look-ups and questions to epmd have the setting `timeout' each; this is for all the rest.
-define(REST_MS, 20_000).

?DOC("See `epmd_docker:explain/1`.").
-spec run(epmd_docker:node_name()) -> explanation().
run(Node) ->
    case epmd_docker_table:parts(Node) of
        {ok, Name, Host} -> named(Name, Host);
        {error, Reason} -> nothing(epmd_docker_explain_text:shown(Node), Reason)
    end.

named(Name, Host) ->
    case unicode:characters_to_binary([Name, $@, Host]) of
        Node when is_binary(Node) -> bounded(#{node => Node, name => Name, host => Host});
        _ -> Shown = epmd_docker_explain_text:shown({Name, Host}), nothing(Shown, {bad_node_name, Shown})
    end.

nothing(Shown, Reason) ->
    (blank(Shown))#{cause => Reason}.

blank(Node) ->
    Protocol = case epmd_docker_handshake:speaks_tls() of true -> tls; false -> tcp end,
    #{cause => none, node => Node, kind => unknown, steps => [], settings => #{}, candidates => [],
        own => #{node => node(), protocol => Protocol, family => epmd_docker_boot:family()}}.

%% Sockets, jobs and whatever arrives late end with the worker.
bounded(#{node := Node} = Query) ->
    case epmd_docker_select:in_net_kernel() of
        true -> nothing(Node, cancelled);
        false -> in_worker(Query, blank(Node))
    end.

in_worker(#{node := Node} = Query, Blank) ->
    case epmd_docker_worker:run(fun(Reply, _) -> Reply(steps(Query, Blank)) end, 3 * timeout() + ?REST_MS) of
        {ok, Explanation} -> Explanation;
        timeout -> nothing(Node, timeout);
        {crashed, Reason} ->
            ?LOG_ERROR(#{what => crash, where => ?MODULE, reason => Reason}, ?LOG_META),
            nothing(Node, cancelled)
    end.

timeout() ->
    case epmd_docker_options:current() of
        {ok, #{timeout := Timeout}} -> Timeout;
        {error, _} -> 4000
    end.

steps(Query, Blank) ->
    All = [
        {name, fun name/2},
        {settings, fun settings/2},
        {library, fun library/2},
        {docker, fun docker/2},
        {lookup, fun lookup/2}
    ],
    Found = walk(All, Query, Blank),
    Explanation = epmd_docker_explain_way:walk(Query, Found),
    maps:update_with(steps, fun lists:reverse/1, Explanation).

%% Each step gives what it saw; the first that stops has the cause.
-spec walk([{step_name(), fun((query(), map()) -> outcome())}], query(), map()) -> map().
walk([], _Query, Explanation) ->
    Explanation;
walk([{Step, Fun} | Steps], Query, Explanation) ->
    case epmd_docker_explain_way:timed(Step, fun() -> Fun(Query, Explanation) end) of
        {next, Next} -> walk(Steps, Query, Next);
        {stop, Stopped} -> Stopped
    end.

%% ---------------------------------------------------------------------------------------------
%% The steps
%% ---------------------------------------------------------------------------------------------

%% As OTP's own check in inet_tcp_dist (25 to 29): a dot makes a name a long one, and an address may
%% stand in one.
name(#{node := Node, host := Host}, E) ->
    case atom_to_binary(node()) of
        Node when node() =/= nonode@nohost -> {stop, this_node, {ok, this_node}, E};
        _ -> domain(lists:member($., Host), lists:member($:, Host), is_long(), E)
    end.

domain(true, _, false, E) -> {stop, {name_domain, long}, {error, {name_domain, long}}, E};
domain(false, false, true, E) -> {stop, {name_domain, short}, {error, {name_domain, short}}, E};
domain(_, _, _, E) -> {next, ok, E}.

%% Another process is asked, which may be busy. A node that has no name yet has its domain, too.
is_long() ->
    Ask = fun(Reply, _) -> Reply(net_kernel:longnames()) end,
    case whereis(net_kernel) =/= undefined andalso epmd_docker_worker:run(Ask, 1000) of
        {ok, Is} -> Is;
        _ -> unknown
    end.

settings(_Query, E) ->
    case epmd_docker_options:current() of
        {ok, Options} -> {next, ok, E#{settings => Options}};
        {error, Bad} -> {stop, Bad, {error, Bad}, E}
    end.

library(#{node := Node}, #{own := #{family := Family}, settings := Options} = E) ->
    case epmd_docker_nif:peek(Node, Family) of
        {error, {nif_not_loaded, _}} = Error -> {next, Error, mattering(unknown, Options, E)};
        {error, Reason} = Error -> {stop, Reason, Error, mattering(unknown, Options, E)};
        {found, Kind, _} -> {next, {ok, Kind}, mattering(Kind, Options, E)};
        {table, _, _} = Entry -> {next, {ok, Entry}, mattering(table, Options, E)};
        Kind -> {next, {ok, Kind}, mattering(Kind, Options, E)}
    end.

mattering(Kind, #{sources := Sources} = Options, E) ->
    Known = maps:with([timeout | keys(Kind)], Options),
    E#{kind => Kind, settings => maps:map(fun(Key, Value) -> {Value, maps:get(Key, Sources, default)} end, Known)}.

keys(on_host) ->
    [docker_daemon_port, remote_tls, remote_cert_path, allowed_hosts, remote_port, on_host_port, address, api_version];
keys(in_container) ->
    [docker_host, docker_tls, docker_cert_path, address, network, remote_port, api_version];
keys(table) -> [static_nodes];
keys(_) -> [remote_port].

%% A lookup tells only what it chose.
docker(#{node := Node}, #{kind := Kind} = E) when Kind =:= on_host; Kind =:= in_container ->
    #{own := #{family := Family}} = E,
    Tag = make_ref(),
    Limit = timeout(),
    case epmd_docker_nif:explain(Tag, Node, Family, Limit) of
        {ok, Job} ->
            receive
                {epmd_docker_nif, Tag, Answer} -> said(Answer, E)
            after Limit + ?SLACK_MS ->
                _ = epmd_docker_nif:cancel(Job),
                {next, {error, timeout}, E}
            end;
        {error, _} = Error ->
            {next, Error, E}
    end;
docker(_Query, E) ->
    {next, skipped, E}.

said({ok, Said}, E) ->
    Told = maps:merge(E, maps:with([daemon, container, candidates], Said)),
    WithPort =
        case Said of
            #{port := {_, From}} -> Told#{port_from => From};
            #{} -> Told
        end,
    case Said of
        #{error := Reason} -> {next, {error, Reason}, WithPort};
        #{} -> {next, {ok, maps:get(port, Said, undefined)}, WithPort}
    end;
said({error, _} = Error, E) ->
    {next, Error, E}.

lookup(#{name := Name, host := Host} = Query, #{own := #{family := Family}} = E) ->
    case epmd_docker_lookup:find(Name, Host, Family, timeout()) of
        {ok, Found} ->
            {next, {ok, place(Found)}, taken(Found, E#{found => Found})};
        {error, Reason} = Error ->
            {stop, epmd_docker_explain_way:refined(Reason, Query, E), Error, E}
    end.

place(#{address := Ip, port := Port}) -> {Ip, Port}.

%% What Docker has no part in is a candidate, too.
taken(#{source := Source, address := Ip, port := Port}, #{candidates := Others} = E) when
    Source =:= table; Source =:= fixed_port; Source =:= epmd
->
    Spare = [
        case Other of
            #{verdict := taken} -> Other#{verdict := spare};
            _ -> Other
        end
     || Other <- Others
    ],
    E#{candidates := [#{address => Ip, port => Port, via => Source, verdict => taken} | Spare]};
taken(_Found, E) ->
    E.
