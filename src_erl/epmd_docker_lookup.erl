%% One look-up: node table, then Docker, then DNS with the fixed port or epmd.
%%
%% The calling process waits for Docker's first word itself (epmd_docker_ask). Whatever else may wait
%% runs in a short-lived worker (epmd_docker_worker). Never called inside net_kernel
%% (epmd_docker_select is).
-module(epmd_docker_lookup).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([known/3, find/4, find/5]).

-export_type([found/0, source/0, query/0, flags/0]).

-type source() :: table | container | published | host_network | fixed_port | epmd.
-type found() :: #{
    address := inet:ip_address(),
    port := inet:port_number(),
    source := source(),
    %% Distribution protocol version; 6 is every OTP since 25, and epmd says what it was told.
    version := 5..6,
    container => #{id := binary(), name := binary(), hostname := binary(), daemon := binary()},
    network => binary(),
    %% The daemon cannot be reached: this is what was last known.
    stale => true
}.
%% One look-up on its way.
-type query() :: #{
    node := binary(),
    name := string(),
    host := string(),
    family := inet | inet6,
    %% By the monotonic clock, ms.
    deadline := integer(),
    %% By the same, in its own unit.
    started := integer(),
    flags := flags(),
    %% What the library says of a name that is Docker's.
    kind => on_host | in_container,
    %% The worker's monitor of its caller.
    caller => epmd_docker_worker:caller()
}.
-type flags() :: #{
    watch => boolean(),
    %% What the library's memory says of the node, if it was asked already.
    peeked => {Node :: binary(), epmd_docker_nif:peeked()}
}.
-type reason() :: epmd_docker:reason().
-type result() :: {ok, found()} | {error, reason()}.

?DOC("""
What a connection asks first: address and port, if they are known without asking anybody. The calling
process is the connection's, and its handshake is watched. Else what was found out so far, for find/5.
""").
-spec known(string(), string(), inet | inet6) ->
    {ok, inet:ip_address(), inet:port_number()} | {unknown, flags()}.
known(Name, Host, Family) ->
    case node_name(Name, Host) of
        {ok, Node} -> known_node(epmd_docker_nif:address(Node, Family), Node, Host);
        error -> {unknown, #{}}
    end.

known_node({Kind, Ip, Port}, Node, Host) when is_tuple(Ip) ->
    case Kind =:= in_container andalso epmd_docker_self:is_own_host(Host) of
        %% Maybe stock Erlang's alone.
        true ->
            {unknown, #{}};
        false ->
            ok = epmd_docker_stats:hit(),
            ok = epmd_docker_handshake:spawn_watch(Node, #{address => Ip, port => Port}),
            {ok, Ip, Port}
    end;
known_node(Peeked, Node, _) ->
    {unknown, #{peeked => {Node, Peeked}}}.

?DOC("As `find/5`, for a caller that makes no connection itself.").
-spec find(string(), string(), inet | inet6, TimeoutMs :: pos_integer()) -> result().
find(Name, Host, Family, Timeout) ->
    find(Name, Host, Family, Timeout, #{}).

?DOC("""
Finds the address and port of the node `Name@Host`. With `watch => true` the calling process is a
connection's: its handshake is watched, to tell the user when the node there has another name.
""").
-spec find(string(), string(), inet | inet6, TimeoutMs :: pos_integer(), flags()) ->
    result().
find(Name, Host, Family, Timeout, #{peeked := {Node, Peeked}} = Flags) ->
    find_node(Peeked, query(Node, Name, Host, Family, Timeout, Flags));
find(Name, Host, Family, Timeout, Flags) ->
    case node_name(Name, Host) of
        {ok, Node} ->
            Peeked = epmd_docker_nif:peek(Node, Family),
            find_node(Peeked, query(Node, Name, Host, Family, Timeout, Flags));
        error -> {error, {bad_node_name, unicode:characters_to_binary(io_lib:format("~0tp", [{Name, Host}]))}}
    end.

query(Node, Name, Host, Family, Timeout, Flags) ->
    #{node => Node, name => Name, host => Host, family => Family, flags => Flags,
        deadline => epmd_docker_stock:deadline(Timeout), started => epmd_docker_stats:start()}.

find_node(Peeked, Query) ->
    case Peeked of
        {found, Kind, Found} ->
            find_in_docker({ok, Found}, Query#{kind => Kind});
        {table, TableHost, Port} = Known ->
            case inet:parse_strict_address(unicode:characters_to_list(TableHost)) of
                {ok, Ip} ->
                    ok = epmd_docker_stats:hit(),
                    watched(epmd_docker_stock:at(Ip, Port, table, Query), Query);
                {error, _} -> in_worker(Known, Query)
            end;
        {error, {bad_node_name, _}} = Error ->
            Error;
        {error, _} = NotLoaded ->
            in_worker(NotLoaded, Query);
        other ->
            in_worker(other, Query);
        Kind ->
            find_in_docker(unknown, Query#{kind => Kind})
    end.

%% Most look-ups end here: a worker for them would cost two more switches between processes.
find_in_docker(Known, Query) ->
    case is_stock_alone(Query) of
        true ->
            in_worker(other, Query);
        false ->
            case known_or_said(Known, Query) of
                {ok, #{port := Port} = Found} when is_integer(Port) ->
                    Result = {ok, docker_found(Found, Port, ?DIST_VERSION)},
                    ok = count(Known, Query, Result),
                    ok = log(Query, Result),
                    watched(Result, Query);
                Said ->
                    in_worker({said, Said}, Query)
            end
    end.

count(unknown, #{node := Node, started := Started}, Result) ->
    epmd_docker_stats:miss(Started, Node, Result);
count({ok, _}, _Query, _Result) ->
    epmd_docker_stats:hit().

known_or_said(unknown, Query) ->
    ok = epmd_docker_notes:start(),
    epmd_docker_ask:first_word(epmd_docker_ask:by_name(Query), Query);
known_or_said(Known, _Query) ->
    Known.

is_stock_alone(#{kind := on_host}) -> false;
is_stock_alone(#{kind := in_container, host := Host}) ->
    epmd_docker_self:is_own_host(Host) andalso epmd_docker_stock:uses_epmd().

%% No worker was needed, so there is none that could watch.
watched({ok, Found} = Ok, #{flags := #{watch := true}, node := Node}) ->
    ok = epmd_docker_handshake:spawn_watch(Node, Found),
    Ok;
watched(Result, _Query) ->
    Result.

node_name(Name, Host) ->
    case unicode:characters_to_binary([Name, $@, Host]) of
        Node when is_binary(Node) -> {ok, Node};
        _ -> error
    end.

%% ---------------------------------------------------------------------------------------------
%% The worker
%% ---------------------------------------------------------------------------------------------

in_worker(Step, Query) ->
    Result = from_worker(Step, Query),
    ok = count(unknown, Query, Result),
    Result.

from_worker(Step, Query) ->
    Work = fun(Reply, Caller) -> work(Step, Query, Reply, Caller) end,
    case epmd_docker_worker:run(Work, epmd_docker_stock:left(Query) + ?SLACK_MS) of
        {ok, Result} ->
            Result;
        timeout ->
            {error, timeout};
        {crashed, Reason} ->
            ?LOG_ERROR(#{what => crash, where => ?MODULE, reason => Reason}, ?LOG_META),
            {error, cancelled}
    end.

work(Step, Query, Reply, Caller) ->
    Result = step(Step, Query#{caller => Caller}),
    ok = Reply(Result),
    ok = log(Query, Result),
    watch(Query, Result, Caller).

log(#{node := Node}, {error, Reason}) ->
    ?LOG_INFO(#{what => lookup_failed, node => Node, reason => Reason}, ?LOG_META);
log(#{node := Node}, {ok, Found}) ->
    ?LOG_DEBUG(#{what => lookup, node => Node, found => Found}, ?LOG_META).

watch(#{flags := #{watch := true}, node := Node}, {ok, Found}, Caller) ->
    epmd_docker_handshake:watch(Node, Found, Caller);
watch(_, _, _) ->
    ok.

%% ---------------------------------------------------------------------------------------------
%% Steps
%% ---------------------------------------------------------------------------------------------

%% A host stays a host: what the table names is looked up at each use. As in a node name, one
%% with a dot is for DNS, and one without may be a container reference.
step({table, Host, Port}, #{family := Family} = Query) ->
    Text = unicode:characters_to_list(Host),
    Ask = fun(Tag, Left) -> epmd_docker_nif:locate(Tag, Host, Port, Family, Left) end,
    Stock = fun() -> epmd_docker_stock:dns(Text, Port, table, Query) end,
    case lists:member($., Text) orelse epmd_docker_self:is_own_host(Text) of
        true -> Stock();
        false -> as_table(with_stock(epmd_docker_ask:first_word(Ask, Query), Ask, Stock, Query))
    end;
step(other, Query) ->
    epmd_docker_stock:find(Query);
step({error, {nif_not_loaded, _}} = Error, Query) ->
    either(epmd_docker_stock:find(Query), Error);
step({said, silent}, #{kind := on_host}) ->
    {error, timeout};
step({said, Said}, #{host := Host} = Query) ->
    Stock = fun() -> epmd_docker_stock:find(Query) end,
    Result = with_stock(Said, epmd_docker_ask:by_name(Query), Stock, Query),
    %% A container with its host's network, running or not, has its host's name too.
    case epmd_docker_self:is_own_host(Host) of
        true -> docker_or(Stock, Result);
        false -> Result
    end.

docker_or(_Stock, {ok, _} = Ok) -> Ok;
docker_or(Stock, {error, _} = Error) -> either(Stock(), Error).

as_table({ok, Found}) -> {ok, Found#{source := table}};
as_table(Error) -> Error.

%% What Docker has said, and Stock where it does not know the name or cannot say. A daemon that
%% takes long must not hold up ordinary nodes: Stock runs beside a second question (the first may
%% hang on a connection that is dead), and what it finds is taken.
with_stock(silent, Ask, Stock, Query) ->
    with_stock(epmd_docker_ask:again(Ask, Stock, Query), Ask, Stock, Query);
with_stock(Said, _Ask, Stock, Query) ->
    fall_back(docker_port(Said, Query), Stock).

fall_back({stock, Found}, _Stock) -> {ok, Found};
fall_back({stock_failed, Reason}, _Stock) -> {error, Reason};
fall_back({error, Reason} = Error, Stock) ->
    case is_final(Reason) of
        true -> Error;
        false -> either(Stock(), Error)
    end;
fall_back({ok, _} = Ok, _Stock) ->
    Ok.

%% Docker knows the container and says why it cannot be reached, or the host is off limits: DNS
%% could only lead elsewhere.
is_final({not_running, _}) -> true;
is_final({ambiguous, _}) -> true;
is_final({not_published, _}) -> true;
is_final({loopback_only, _}) -> true;
is_final({no_network, _}) -> true;
is_final({host_not_allowed, _}) -> true;
is_final({dns, _, eafnosupport}) -> true;
is_final({not_in_epmd, _, _}) -> true;
is_final(timeout) -> true;
is_final(_) -> false.

%% If DNS does not know the name either, Docker's reason is the one that helps.
either({ok, _} = Ok, _) -> Ok;
either({error, {host_not_allowed, _}} = Error, _) -> Error;
either({error, _}, Error) -> Error.

%% What Docker said, with the port from the container's epmd where only that knows it.
docker_port({ok, #{address := Ip, port := epmd} = Found}, Query) ->
    case epmd_docker_stock:epmd(Ip, Query) of
        {ok, Port, Version} -> {ok, docker_found(Found, Port, Version)};
        Error -> Error
    end;
docker_port({ok, #{port := Port} = Found}, _Query) ->
    {ok, docker_found(Found, Port, ?DIST_VERSION)};
docker_port(Other, _Query) ->
    Other.

docker_found(#{address := Ip, via := Via, container := Container} = Docker, Port, Version) ->
    Found = #{address => Ip, port => Port, version => Version, container => Container},
    marked(Docker, case Via of
        {container, Network} -> Found#{source => container, network => Network};
        _ -> Found#{source => Via}
    end).

marked(#{stale := true}, Found) -> Found#{stale => true};
marked(_, Found) -> Found.
