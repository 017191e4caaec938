%% The NIF stubs and how their library is found; nothing else. The other side of this border is
%% native/epmd_docker_nif.
%%
%% There is no -on_load here: on OTP 25 in embedded mode such a module is `undef' when kernel
%% calls the epmd module. A stub that is called before the library is there loads it and calls
%% itself again; without a library every stub gives {error, {nif_not_loaded, Detail}}.
-module(epmd_docker_nif).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([load/0, path/0]).
-define(NIFS, [
    configure/1,
    peek/2,
    address/2,
    lookup/4,
    explain/4,
    locate/5,
    names/4,
    subscribe/2,
    unsubscribe/1,
    is_allowed/2,
    cancel/1,
    doubt/1,
    table_add/3,
    table_remove/1,
    table_set/1,
    table_list/0,
    daemons/0,
    listen/0,
    creation/0
]).
-export(?NIFS).
-nifs(?NIFS).

-export_type([job/0, found/0, kind/0, peeked/0, not_loaded/0, explained/0, candidate/0]).

-type job() :: reference().
-type not_loaded() :: {error, {nif_not_loaded, Detail :: binary()}}.
-type container() :: #{
    id := binary(), name := binary(), hostname := binary(), daemon := binary()
}.
-type found() :: #{
    address := inet:ip_address(),
    %% epmd: ask the epmd at that address.
    port := inet:port_number() | epmd,
    via := {container, Network :: binary()} | published | host_network,
    %% Whether the daemon cannot be reached, so that this is what was last known.
    stale := boolean(),
    container := container()
}.
%% What a daemon said of a node's container, as far as it got.
-type explained() :: #{
    daemon := binary(),
    candidates := [candidate()],
    container => container(),
    %% The distribution port in there, and what told it.
    port => {
        inet:port_number() | epmd,
        label | environment | remote_port | default | epmd | table
    },
    error => reason()
}.
-type candidate() :: #{
    address := inet:ip_address() | undefined,
    %% epmd: ask the epmd at that address.
    port := inet:port_number() | epmd | undefined,
    via := {container, Network :: binary()} | published | host_network,
    verdict := taken | spare | {refused, atom()}
}.
-type kind() :: on_host | in_container.
-type peeked() ::
    {table, Host :: binary(), inet:port_number()}
    | {found, kind(), found()}
    | kind()
    | other
    | {error, reason()}.
-type reason() :: epmd_docker:reason().

%% Both sides of the border carry this number (ABI in native/epmd_docker_nif/src/lib.rs).
-define(ABI, 4).
-define(FAILED, {?MODULE, failed}).
-define(CALLED, {?MODULE, called}).

%% ---------------------------------------------------------------------------------------------
%% Loading
%% ---------------------------------------------------------------------------------------------

?DOC("Loads the library if it is not loaded yet; a failure is remembered, and logged once.").
-spec load() -> ok | not_loaded().
load() ->
    case persistent_term:get(?FAILED, undefined) of
        undefined -> load(path());
        Detail -> {error, {nif_not_loaded, Detail}}
    end.

load(Path) ->
    %% Old code that still has the library cannot be upgraded in place: it has to go first.
    case load_nif(Path) of
        {error, {upgrade, _}} ->
            _ = code:soft_purge(?MODULE),
            loaded(load_nif(Path), Path);
        Result ->
            loaded(Result, Path)
    end.

load_nif(Path) ->
    %% After a release upgrade it is another library, and somebody may call it at once.
    erlang:load_nif(Path, {?ABI, epmd_docker_boot:native_settings()}).

loaded(ok, _Path) ->
    epmd_docker_boot:library_loaded();
loaded({error, {reload, _}}, _Path) ->
    %% Another process was faster.
    ok;
loaded({error, {Kind, Text}}, Path) ->
    Detail = detail(Kind, Text, Path),
    persistent_term:put(?FAILED, Detail),
    ?LOG_WARNING(#{what => nif_not_loaded, detail => Detail}, ?LOG_META),
    {error, {nif_not_loaded, Detail}}.

detail(load, _Text, Path) ->
    unicode:characters_to_binary([Path, ".so belongs to another version of epmd_docker"]);
detail(_Kind, Text, _Path) ->
    unicode:characters_to_binary(Text).

?DOC("The library's path without its ending, as `erlang:load_nif/2` wants it.").
-spec path() -> file:filename().
path() ->
    filename:join(priv_dir(), "epmd_docker_nif").

%% code:priv_dir/1 knows an application only if its directory is called epmd_docker or
%% epmd_docker-Vsn; otherwise priv is beside the directory of this module.
priv_dir() ->
    case code:priv_dir(epmd_docker) of
        {error, bad_name} -> filename:join(filename:dirname(ebin_dir()), "priv");
        Dir -> Dir
    end.

ebin_dir() ->
    case code:which(?MODULE) of
        File when is_list(File), File =/= [] -> filename:dirname(filename:absname(File));
        _ -> "ebin"
    end.

%% What each stub does: it is only ever called while the library is not loaded, or by a library
%% that lacks this function (load_nif/2 does not mind). Without the mark that would be a loop.
-spec stub(atom(), [term()]) -> term().
stub(Function, Arguments) ->
    case get(?CALLED) of
        Function -> {error, {nif_not_loaded, <<"the library lacks ", (atom_to_binary(Function))/binary>>}};
        Before -> stub(Function, Arguments, Before)
    end.

stub(Function, Arguments, Before) ->
    case load() of
        ok ->
            _ = put(?CALLED, Function),
            try
                apply(?MODULE, Function, Arguments)
            after
                _ = put(?CALLED, Before)
            end;
        {error, _} = Error ->
            Error
    end.

%% ---------------------------------------------------------------------------------------------
%% NIFs (each returns at once; a term of another type than the spec says is `badarg')
%% ---------------------------------------------------------------------------------------------

?DOC("Puts validated settings in force, see `epmd_docker_options:native/1`.").
-spec configure(map()) -> ok | {error, {bad_setting, atom(), binary()}} | not_loaded().
configure(Settings) -> stub(?FUNCTION_NAME, [Settings]).

?DOC("""
What memory knows of a node name: a table entry, the container with its address if nothing can have
changed since it was inspected, or what kind of name it is.
""").
-spec peek(Node :: binary(), inet | inet6) -> peeked().
peek(Node, Family) -> stub(?FUNCTION_NAME, [Node, Family]).

?DOC("As `peek/2`, with no more than a connection needs where address and port are known.").
-spec address(Node :: binary(), inet | inet6) ->
    {kind(), inet:ip_address(), inet:port_number()} | peeked().
address(Node, Family) -> stub(?FUNCTION_NAME, [Node, Family]).

?DOC("""
Asks Docker where a node is. The answer is a message
`{epmd_docker_nif, Tag, {ok, found()} | {error, reason()}}` to the calling process. Keep the job:
when it is garbage collected, the work is aborted.
""").
-spec lookup(Tag :: term(), Node :: binary(), inet | inet6, TimeoutMs :: non_neg_integer()) ->
    {ok, job()} | {error, reason()}.
lookup(Tag, Node, Family, Timeout) -> stub(?FUNCTION_NAME, [Tag, Node, Family, Timeout]).

?DOC("""
As `lookup/4`, to tell people: the answer `{ok, explained()}` has all ways to the container, and comes
from the daemon itself.
""").
-spec explain(Tag :: term(), Node :: binary(), inet | inet6, TimeoutMs :: non_neg_integer()) ->
    {ok, job()} | {error, reason()}.
explain(Tag, Node, Family, Timeout) -> stub(?FUNCTION_NAME, [Tag, Node, Family, Timeout]).

?DOC("As `lookup/4`, for a container reference and a known distribution port.").
-spec locate(
    Tag :: term(),
    Container :: binary(),
    inet:port_number(),
    inet | inet6,
    TimeoutMs :: non_neg_integer()
) -> {ok, job()} | {error, reason()}.
locate(Tag, Container, Port, Family, Timeout) ->
    stub(?FUNCTION_NAME, [Tag, Container, Port, Family, Timeout]).

?DOC("""
The nodes in the running containers of a host, or of the local daemon. The answer is a message
`{epmd_docker_nif, Tag, {ok, [{Name :: binary(), Port}]} | {error, reason()}}`.
""").
-spec names(
    Tag :: term(), Host :: binary() | undefined, inet | inet6, TimeoutMs :: non_neg_integer()
) -> {ok, job()} | {error, reason()}.
names(Tag, Host, Family, Timeout) -> stub(?FUNCTION_NAME, [Tag, Host, Family, Timeout]).

?DOC("""
Tells the calling process what happens at the daemon of a host, or at the local one, to containers that
have all these labels, in messages `{epmd_docker, snapshot, [Info]}` and then `{epmd_docker, up | down |
changed, Info}`. Keep what it returns: when that is garbage collected, it ends.
""").
-spec subscribe(Host :: binary() | undefined, Labels :: [{Key :: binary(), Value :: binary()}]) ->
    {ok, reference()} | {error, reason()}.
subscribe(Host, Labels) -> stub(?FUNCTION_NAME, [Host, Labels]).

?DOC("Ends a subscription.").
-spec unsubscribe(reference()) -> ok | not_loaded().
unsubscribe(Subscription) -> stub(?FUNCTION_NAME, [Subscription]).

?DOC("""
Whether `allowed_hosts` lets a node name with this host lead to this address (as text), which is the
host's.
""").
-spec is_allowed(Host :: binary(), Address :: binary()) -> boolean() | not_loaded().
is_allowed(Host, Address) -> stub(?FUNCTION_NAME, [Host, Address]).

?DOC("Aborts a job. Its message is in the owner's mailbox already, or never will be.").
-spec cancel(job()) -> ok | not_loaded().
cancel(Job) -> stub(?FUNCTION_NAME, [Job]).

?DOC("What was known of a node has led nowhere: it is asked for again.").
-spec doubt(Node :: binary()) -> ok | not_loaded().
doubt(Node) -> stub(?FUNCTION_NAME, [Node]).

?DOC("Adds or replaces an entry of the node table.").
-spec table_add(Node :: binary(), Host :: binary(), inet:port_number()) ->
    ok | {error, reason()}.
table_add(Node, Host, Port) -> stub(?FUNCTION_NAME, [Node, Host, Port]).

?DOC("Removes an entry of the node table; says whether it was there.").
-spec table_remove(Node :: binary()) -> boolean() | not_loaded().
table_remove(Node) -> stub(?FUNCTION_NAME, [Node]).

?DOC("Replaces the whole node table, or changes nothing.").
-spec table_set([{Node :: binary(), Host :: binary(), inet:port_number()}]) ->
    ok | {error, reason()}.
table_set(Nodes) -> stub(?FUNCTION_NAME, [Nodes]).

?DOC("The node table, sorted by name.").
-spec table_list() ->
    [{Node :: binary(), Host :: binary(), inet:port_number()}] | not_loaded().
table_list() -> stub(?FUNCTION_NAME, []).

?DOC("Each daemon that was asked so far, its state and counts.").
-spec daemons() -> [map()] | not_loaded().
daemons() -> stub(?FUNCTION_NAME, []).

?DOC("""
From now on the calling process is told what happens to daemons, in messages `{epmd_docker_nif,
notice, Daemon :: binary(), up | {down, reason()} | {not_watched, reason()}}`, and nobody else is.
""").
-spec listen() -> ok | not_loaded().
listen() -> stub(?FUNCTION_NAME, []).

?DOC("A random creation for this incarnation of the node.").
-spec creation() -> 4..16#FFFFFFFF | not_loaded().
creation() -> stub(?FUNCTION_NAME, []).
