%% The `-epmd_module': asks Docker where a node is, and leaves the handshake to OTP.
%%
%%     erl -start_epmd false -epmd_module epmd_docker -proto_dist eid_tcp \
%%         -name <container id>@<host address> -setcookie secret
%%
%% OTP calls the callbacks here while the node boots (no io, no file, no inet:getaddr yet), inside
%% net_kernel (nothing may wait) and in connection processes; applications call them from
%% anywhere, with names as strings or atoms. An exception in address_please/3 or the end of a
%% process that start_link/0 started would take the whole node down (net_sup restarts nothing):
%% so everything is caught, and there is no process of our own.
-module(epmd_docker).

-include("epmd_docker.hrl").
?MODULEDOC("""
Erlang distribution in Docker: the Docker Engine is the registry.

Switch it on with `-epmd_module epmd_docker`, and where its defaults are wanted, `-proto_dist
eid_tcp`. Everything else here is for looking at what it does and for the node table.
""").

%% API
-export([
    add_node/2, add_node/3,
    remove_node/1,
    set_nodes/1,
    list_nodes/0,
    resolve/1,
    explain/1, explain/2,
    info/0,
    subscribe/0, subscribe/1,
    unsubscribe/0,
    format_error/1
]).

%% Callbacks of OTP
-export([
    start_link/0,
    listen_port_please/2,
    register_node/2, register_node/3,
    address_please/3,
    port_please/2, port_please/3,
    names/0, names/1
]).

-export_type([reason/0, node_name/0, host/0, resolved/0, subscription/0, member/0, explanation/0]).

-type node_name() :: node() | string() | binary().
-type host() :: atom() | string() | binary() | inet:ip_address().
-type resolved() :: #{
    address := inet:ip_address(),
    port := inet:port_number(),
    %% Who gave the address and port.
    source := epmd_docker_lookup:source(),
    version := 5..6,
    container => #{id := binary(), name := binary(), hostname := binary(), daemon := binary()},
    network => binary(),
    %% The daemon cannot be reached: this is what was last known.
    stale => true
}.
-type explanation() :: epmd_docker_explain:explanation().
%% What subscribers want to hear of: everything where a key is missing.
-type subscription() :: #{
    %% The Docker host, or several; undefined is the local daemon, as if both were missing.
    host => host() | undefined,
    hosts => [host() | undefined, ...],
    %% A Compose project.
    project => unicode:chardata(),
    %% Labels that a container has, all of them.
    labels => #{unicode:chardata() => unicode:chardata()} | [{unicode:chardata(), unicode:chardata()}]
}.
%% A container, as subscribers see it.
-type member() :: #{
    container := #{id := binary(), name := binary(), hostname := binary(), daemon := binary()},
    %% First parts of node names, as far as its labels tell.
    nodes := [binary()],
    project := binary() | undefined,
    service := binary() | undefined,
    %% What its own health check says; undefined if it has none.
    health := starting | healthy | unhealthy | undefined,
    networks := [{Network :: binary(), Address :: binary()}],
    ports := [{Inside :: inet:port_number(), OnHost :: inet:port_number()}]
}.
%% Why something did not work; format_error/1 makes a sentence of each.
-type reason() ::
    no_such_container
    | {not_running, State :: atom()}
    | {ambiguous, [Id :: binary()]}
    | {not_published, inet:port_number()}
    | {loopback_only, inet:port_number()}
    | {no_network, [Network :: binary()]}
    | {host_not_allowed, Host :: binary()}
    | {bad_node_name, Name :: binary()}
    | {bad_host, Host :: term()}
    | {bad_subscription, Options :: term()}
    | {bad_port, Port :: term()}
    | {connect, Endpoint :: binary(), inet:posix()}
    | {tls, Endpoint :: binary(), epmd_docker_tls:fault()}
    | {context, Name :: binary(), epmd_docker_context:fault()}
    | {status, Code :: 100..999, Message :: binary()}
    | {bad_response, Detail :: binary()}
    | {too_large, Bytes :: non_neg_integer()}
    | {not_in_epmd, Name :: binary(), inet:ip_address()}
    | {dns, Host :: binary(), inet:posix()}
    | timeout
    | busy
    | cancelled
    | not_watched
    | {nif_not_loaded, Detail :: binary()}
    | epmd_docker_options:bad_setting().

%% ---------------------------------------------------------------------------------------------
%% API: the node table
%% ---------------------------------------------------------------------------------------------

?DOC("As `add_node/3`, with the host that is in the name.").
-spec add_node(node_name(), inet:port_number()) -> ok | {error, reason()}.
add_node(Node, Port) ->
    epmd_docker_table:add(Node, Port).

?DOC("""
Says at which host and port a node listens; replaces what was said before. The host (a name, an
address or a container reference) is looked up at each use, so that its address may change.
""").
-spec add_node(node_name(), host(), inet:port_number()) -> ok | {error, reason()}.
add_node(Node, Host, Port) ->
    epmd_docker_table:add(Node, Host, Port).

?DOC("Takes a node out of the table; `ok` too if it was not there.").
-spec remove_node(node_name()) -> ok | {error, reason()}.
remove_node(Node) ->
    epmd_docker_table:remove(Node).

?DOC("Replaces the whole table: all of the list, or nothing if one entry is wrong.").
-spec set_nodes([{node_name(), inet:port_number()} | {node_name(), host(), inet:port_number()}]) ->
    ok | {error, reason()}.
set_nodes(Nodes) ->
    epmd_docker_table:set(Nodes).

?DOC("The node table, sorted by name.").
-spec list_nodes() ->
    [{Node :: node(), Host :: string(), inet:port_number()}] | {error, reason()}.
list_nodes() ->
    epmd_docker_table:list().

%% ---------------------------------------------------------------------------------------------
%% API: looking at what it does
%% ---------------------------------------------------------------------------------------------

?DOC("""
Where a node is, as a connection to it would find out; waits at most the setting `timeout`. Not
for use inside net_kernel.
""").
-spec resolve(node_name()) -> {ok, resolved()} | {error, reason()}.
resolve(Node) ->
    case epmd_docker_table:parts(Node) of
        {ok, Name, Host} -> guarded(resolve, fun() -> epmd_docker_address:resolve(Name, Host) end);
        {error, _} = Error -> Error
    end.

?DOC("""
Why a connection to a node is made or not: what kind of name it is, which daemon was asked and what it
said, which ways there are, whether a node answers there, under what name, and whether it takes our
cookie; the key `cause` says it in one term. Contacts the node, and waits for seconds at most. Not for
use inside net_kernel.
""").
-spec explain(node_name()) -> explanation().
explain(Node) ->
    epmd_docker_explain:run(Node).

?DOC("""
The same for people: `print` writes to the caller's standard output. `text` gives what that would be, as a
string, for what shows results and not output (the start script of a release). Anything else is `badarg`.
""").
-spec explain(node_name(), print) -> ok; (node_name(), text) -> string().
explain(Node, text) ->
    unicode:characters_to_list(epmd_docker_explain_text:format(explain(Node)));
explain(Node, print) ->
    io:put_chars(explain(Node, text));
explain(Node, How) ->
    erlang:error(badarg, [Node, How]).

?DOC("""
The settings in force and where each came from, the daemons asked so far and how they stand, counts
of look-ups, this node.
""").
-spec info() -> epmd_docker_info:info().
info() ->
    epmd_docker_info:all().

?DOC("As `subscribe/1`, to all containers of the local daemon.").
-spec subscribe() -> ok | {error, reason()}.
subscribe() ->
    subscribe(#{}).

?DOC("""
Tells the calling process which containers there are and what becomes of them: first a message
`{epmd_docker, snapshot, [member()]}`, then `{epmd_docker, up | down | changed, member()}`. Replaces
the process's earlier subscription. While the daemon cannot be reached there are no messages; what
has changed meanwhile is told when it is back.

Of several hosts each gives a snapshot. A process that has more than 1,000 messages in its mailbox
is told nothing more until it has read most of them; then it gets new snapshots, which replace
what it was told before.
""").
-spec subscribe(subscription()) -> ok | {error, reason()}.
subscribe(Options) ->
    ok = unsubscribe(),
    guarded(subscribe, fun() -> epmd_docker_subscription:start(Options) end).

?DOC("Ends the calling process's subscription: what is in its mailbox stays, and no more comes.").
-spec unsubscribe() -> ok.
unsubscribe() ->
    epmd_docker_subscription:stop().

?DOC("A sentence for each reason, for people.").
-spec format_error(reason() | term()) -> unicode:chardata().
format_error(Reason) ->
    epmd_docker_reason:sentence(Reason).

%% ---------------------------------------------------------------------------------------------
%% Callbacks of OTP
%% ---------------------------------------------------------------------------------------------

?DOC("""
Called by the supervisor of the distribution. A bad setting stops a node that `-name` or `-sname`
is booting, with one line; a running node only fails to start its distribution.
""").
-spec start_link() -> {ok, pid()} | ignore | {error, term()}.
start_link() ->
    epmd_docker_boot:start_link().

?DOC("The port to listen on; 0 is any.").
-spec listen_port_please(atom() | string(), host()) -> {ok, inet:port_number()}.
listen_port_please(Name, Host) ->
    guarded(listen_port_please, fun() -> epmd_docker_boot:listen_port(Name, Host) end, {ok, 0}).

?DOC("As `register_node/3`, over IPv4.").
-spec register_node(atom() | string(), inet:port_number()) ->
    {ok, Creation :: integer()} | {error, term()}.
register_node(Name, Port) ->
    register_node(Name, Port, inet).

?DOC("Remembers our own name and port, and tells epmd where this node uses it.").
-spec register_node(atom() | string(), inet:port_number(), atom()) ->
    {ok, Creation :: integer()} | {error, term()}.
register_node(Name, Port, Family) ->
    guarded(register_node, fun() -> epmd_docker_boot:register(Name, Port, Family) end, {ok, -1}).

?DOC("""
Address and port of a node in one answer, so that both are from one moment. Inside net_kernel
(stock `select/1` calls it there) it only says whether the name is one for this family.
""").
-spec address_please(atom() | string(), host(), inet | inet6) ->
    {ok, inet:ip_address()}
    | {ok, inet:ip_address(), inet:port_number(), Version :: 5..6}
    | {error, reason()}.
address_please(Name, Host, Family) ->
    guarded(address_please, fun() ->
        epmd_docker_address:address(text(Name), host_text(Host), Family)
    end).

?DOC("As `port_please/3`, with the setting `timeout`.").
-spec port_please(atom() | string(), host()) ->
    {port, inet:port_number(), Version :: 5..6} | noport.
port_please(Name, Host) ->
    port_please(Name, Host, infinity).

?DOC("The port of a node; our own where our own name is asked for.").
-spec port_please(atom() | string(), host(), timeout()) ->
    {port, inet:port_number(), Version :: 5..6} | noport.
port_please(Name, Host, Timeout) ->
    guarded(port_please, fun() -> epmd_docker_address:port(text(Name), host_text(Host), Timeout) end, noport).

?DOC("As `names/1`, for this host.").
-spec names() -> {ok, [{Name :: string(), inet:port_number()}]}.
names() ->
    names(inet_db:gethostname()).

?DOC("""
The nodes known at a host: those in its containers, what its epmd says, and this node itself. Never an error:
applications that look for a duplicate of themselves before they boot stop on one.
""").
-spec names(host()) -> {ok, [{Name :: string(), inet:port_number()}]}.
names(Host) ->
    guarded(names, fun() -> epmd_docker_names:names(host_text(Host)) end, {ok, []}).

%% ---------------------------------------------------------------------------------------------
%% Internal
%% ---------------------------------------------------------------------------------------------

text(Name) when is_atom(Name) -> atom_to_list(Name);
text(Name) when is_binary(Name) -> unicode:characters_to_list(Name);
text(Name) -> Name.

host_text(Host) when is_tuple(Host) -> inet:ntoa(Host);
host_text(Host) -> text(Host).

guarded(Where, Fun) ->
    guarded(Where, Fun, {error, cancelled}).

%% The first law: nothing that happens in here may reach OTP as an exception.
guarded(Where, Fun, Otherwise) ->
    try
        Fun()
    catch
        Class:Reason:Stack ->
            ?LOG_ERROR(#{what => crash, where => Where, reason => {Class, Reason, Stack}}, ?LOG_META),
            Otherwise
    end.
