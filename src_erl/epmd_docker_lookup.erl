%% One look-up: node table, then Docker, then DNS with the fixed port or epmd.
%%
%% Whatever may wait runs in a short-lived worker (epmd_docker_worker), which also owns the job of
%% the native library. Never called inside net_kernel (epmd_docker_select is).
-module(epmd_docker_lookup).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([find/4, find/5, is_own_host/1]).

-export_type([found/0, source/0]).

-type source() :: table | container | published | host_network | fixed_port | epmd.
-type found() :: #{
    address := inet:ip_address(),
    port := inet:port_number(),
    source := source(),
    %% Distribution protocol version; 6 is every OTP since 25, and epmd says what it was told.
    version := 5..6,
    container => #{id := binary(), name := binary(), hostname := binary(), daemon := binary()},
    network => binary()
}.
-type reason() :: epmd_docker:reason().
-type result() :: {ok, found()} | {error, reason()}.

%% OTP 25 and later speak nothing older (DFLAG_HANDSHAKE_23).
-define(VERSION, 6).
%% After this part of the time without a word from Docker, DNS and epmd are asked too.
-define(HEDGE, 4).

?DOC("As `find/5`, for a caller that makes no connection itself.").
-spec find(string(), string(), inet | inet6, TimeoutMs :: pos_integer()) -> result().
find(Name, Host, Family, Timeout) ->
    find(Name, Host, Family, Timeout, #{}).

?DOC("""
Finds the address and port of the node `Name@Host`. With `watch => true` the calling process is a
connection's: its handshake is watched, to tell the user when the node there has another name.
""").
-spec find(string(), string(), inet | inet6, TimeoutMs :: pos_integer(), #{watch => boolean()}) ->
    result().
find(Name, Host, Family, Timeout, Flags) ->
    case node_name(Name, Host) of
        {ok, Node} -> find_node(Node, Name, Host, Family, Timeout, Flags);
        error -> {error, {bad_node_name, unicode:characters_to_binary(io_lib:format("~0tp", [{Name, Host}]))}}
    end.

find_node(Node, Name, Host, Family, Timeout, Flags) ->
    Query = #{node => Node, name => Name, host => Host, family => Family, flags => Flags, deadline => now_ms() + Timeout},
    case epmd_docker_nif:peek(Node) of
        {table, TableHost, Port} = Known ->
            case inet:parse_strict_address(unicode:characters_to_list(TableHost)) of
                {ok, Ip} -> watched(known(Ip, Port, table, Family, TableHost), Query);
                {error, _} -> in_worker(Known, Query, Timeout)
            end;
        {error, {bad_node_name, _}} = Error ->
            Error;
        Kind ->
            in_worker(Kind, Query, Timeout)
    end.

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

known(Ip, Port, Source, Family, _Host) when
    tuple_size(Ip) =:= 4, Family =:= inet; tuple_size(Ip) =:= 8, Family =:= inet6
->
    {ok, #{address => Ip, port => Port, source => Source, version => ?VERSION}};
known(_Ip, _Port, _Source, _Family, Host) ->
    {error, {dns, Host, eafnosupport}}.

%% ---------------------------------------------------------------------------------------------
%% The worker
%% ---------------------------------------------------------------------------------------------

%% The worker keeps the deadline itself; the rest is for a machine that is busy.
in_worker(Kind, Query, Timeout) ->
    Work = fun(Reply, Caller) -> work(Kind, Query, Reply, Caller) end,
    case epmd_docker_worker:run(Work, Timeout + 100) of
        {ok, Result} ->
            Result;
        timeout ->
            {error, timeout};
        {crashed, Reason} ->
            ?LOG_ERROR(#{what => crash, where => ?MODULE, reason => Reason}, ?LOG_META),
            {error, cancelled}
    end.

work(Kind, Query, Reply, Caller) ->
    Result = step(Kind, Query#{caller => Caller, kind => Kind}),
    ok = Reply(Result),
    log(Query, Result),
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
    Stock = fun() -> dns(Text, Port, table, Query) end,
    case lists:member($., Text) orelse is_own_host(Text) of
        true -> Stock();
        false -> as_table(docker_then(Ask, Stock, Query))
    end;
step(other, Query) ->
    stock(Query);
step({error, {nif_not_loaded, _}} = Error, Query) ->
    either(stock(Query), Error);
step(Kind, #{node := Node, host := Host, family := Family} = Query) ->
    Ask = fun(Tag, Left) -> epmd_docker_nif:lookup(Tag, Node, Family, Left) end,
    Stock = fun() -> stock(Query) end,
    case Kind =:= in_container andalso is_own_host(Host) of
        false ->
            docker_then(Ask, Stock, Query);
        true ->
            case uses_epmd() of
                true -> Stock();
                %% A container with its host's network, running or not, has its host's name too.
                false -> docker_or(Stock, docker_then(Ask, Stock, Query))
            end
    end.

docker_or(_Stock, {ok, _} = Ok) -> Ok;
docker_or(Stock, {error, _} = Error) -> either(Stock(), Error).

as_table({ok, Found}) -> {ok, Found#{source := table}};
as_table(Error) -> Error.

%% Asks Docker, and Stock where Docker does not know the name or cannot say. A daemon that takes
%% long must not hold up ordinary nodes: after a part of the time Stock runs too, and what it
%% finds is taken.
docker_then(Ask, Stock, Query) ->
    Tag = make_ref(),
    Left = left(Query),
    case Ask(Tag, Left) of
        {ok, Job} ->
            Result =
                %% The job is named again below, which keeps it from being garbage collected
                %% (and so aborted) while we wait.
                case answer(Tag, patience(Query, Left), Query) of
                    none -> hedge(otherwise(Stock, Query), Tag, Job, Query);
                    Answer -> Answer
                end,
            fall_back(docker_port(Result, Query), Stock);
        {error, _} = Error ->
            fall_back(Error, Stock)
    end.

%% ContainerId@HostAddr is Docker's by its shape: what listens at that host itself is another node,
%% and to dial it would only disturb it.
patience(#{kind := on_host}, Left) -> Left;
patience(_, Left) -> Left div ?HEDGE.

otherwise(_Stock, #{kind := on_host}) -> {error, timeout};
otherwise(Stock, _) -> Stock().

answer(Tag, Wait, #{caller := Caller}) ->
    receive
        {epmd_docker_nif, Tag, Result} -> Result;
        %% Nobody waits any more: the job ends with its owner, this process.
        {'DOWN', Caller, process, _, _} -> exit(normal)
    after Wait -> none
    end.

hedge({ok, Found}, _Tag, Job, _Query) ->
    _ = epmd_docker_nif:cancel(Job),
    {stock, Found};
hedge({error, _}, Tag, Job, Query) ->
    case answer(Tag, left(Query), Query) of
        none ->
            _ = epmd_docker_nif:cancel(Job),
            {stock_failed, timeout};
        {error, Reason} ->
            {stock_failed, Reason};
        {ok, _} = Ok ->
            Ok
    end.

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
is_final({not_in_epmd, _, _}) -> true;
is_final(timeout) -> true;
is_final(_) -> false.

%% If DNS does not know the name either, Docker's reason is the one that helps.
either({ok, _} = Ok, _) -> Ok;
either({error, _}, Error) -> Error.

%% What Docker said, with the port from the container's epmd where only that knows it.
docker_port({ok, #{address := Ip, port := epmd} = Found}, Query) ->
    case epmd(Ip, Query) of
        {ok, Port, Version} -> {ok, docker_found(Found, Port, Version)};
        Error -> Error
    end;
docker_port({ok, #{port := Port} = Found}, _Query) ->
    {ok, docker_found(Found, Port, ?VERSION)};
docker_port(Other, _Query) ->
    Other.

docker_found(#{address := Ip, via := Via, container := Container}, Port, Version) ->
    Found = #{address => Ip, port => Port, version => Version, container => Container},
    case Via of
        {container, Network} -> Found#{source => container, network => Network};
        _ -> Found#{source => Via}
    end.

%% ---------------------------------------------------------------------------------------------
%% Stock Erlang: DNS, then the fixed port or epmd
%% ---------------------------------------------------------------------------------------------

stock(#{host := Host} = Query) ->
    case epmd_docker_options:current() of
        {ok, #{remote_port := Port}} when is_integer(Port) -> fixed_port(Port, Query);
        _ -> dns(Host, undefined, epmd, Query)
    end.

%% Where that port is our own, another node on this machine is somewhere else. OTP would dial
%% itself and wait for the whole of net_setuptime, and who calls us meanwhile as that node is
%% refused.
fixed_port(Port, #{name := Name, host := Host} = Query) ->
    case dns(Host, Port, fixed_port, Query) of
        {ok, #{address := Ip}} = Found ->
            case epmd_docker_self:is_taken(Name, Ip, Port) of
                true -> dns(Host, undefined, epmd, Query);
                false -> Found
            end;
        Error ->
            Error
    end.

dns(Host, Port, Source, #{family := Family} = Query) ->
    case getaddr(Host, Family, left(Query)) of
        {ok, Ip} when is_integer(Port) ->
            known(Ip, Port, Source, Family, Host);
        {ok, Ip} ->
            case epmd(Ip, Query) of
                {ok, Found, Version} ->
                    {ok, #{address => Ip, port => Found, source => Source, version => Version}};
                Error ->
                    Error
            end;
        {error, Reason} ->
            {error, {dns, unicode:characters_to_binary(Host), Reason}}
    end.

%% A name server that does not answer must leave time to tell what Docker said.
getaddr(Host, Family, Left) ->
    case inet:parse_strict_address(Host) of
        {ok, _} ->
            inet:getaddr(Host, Family);
        {error, _} ->
            Ask = fun(Reply, _) -> Reply(inet:getaddr(Host, Family)) end,
            case epmd_docker_worker:run(Ask, Left) of
                {ok, Answer} -> Answer;
                timeout -> {error, timeout};
                {crashed, _} -> {error, einval}
            end
    end.

epmd(Ip, #{name := Name} = Query) ->
    case erl_epmd:port_please(Name, Ip, left(Query)) of
        {port, Port, Version} -> {ok, Port, Version};
        _ -> {error, {not_in_epmd, unicode:characters_to_binary(Name), Ip}}
    end.

?DOC("Whether a host name is this machine's own, and so no container reference.").
-spec is_own_host(string()) -> boolean().
is_own_host(Host) ->
    Host =:= own_host(node()) orelse Host =:= inet_db:gethostname() orelse Host =:= "localhost".

own_host(Node) ->
    case string:split(atom_to_list(Node), "@") of
        [_, Host] -> Host;
        _ -> ""
    end.

uses_epmd() ->
    case epmd_docker_options:current() of
        {ok, #{remote_port := undefined}} -> true;
        _ -> false
    end.

now_ms() -> erlang:monotonic_time(millisecond).

left(#{deadline := Deadline}) -> max(1, Deadline - now_ms()).
