%% Questions to Docker: jobs of the native library, and how long their answers are waited for.
%%
%% The asker is mostly a connection process of OTP, in whose mailbox a late answer would be noise: a
%% job is cancelled, after which no message of it can come, before anybody goes on without it.
-module(epmd_docker_ask).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([by_name/1, first_word/2, again/3]).

-export_type([ask/0, said/0]).

-type query() :: epmd_docker_lookup:query().
%% Starts a job whose message has this tag.
-type ask() :: fun(
    (Tag :: reference(), TimeoutMs :: pos_integer()) ->
        {ok, epmd_docker_nif:job()} | {error, epmd_docker:reason()}
).
-type said() :: {ok, epmd_docker_nif:found()} | {error, epmd_docker:reason()}.

%% After this part of the time without a word from Docker, DNS and epmd are asked too.
-define(HEDGE, 4).

?DOC("The question where the node of the query is.").
-spec by_name(query()) -> ask().
by_name(#{node := Node, family := Family}) ->
    fun(Tag, Left) -> epmd_docker_nif:lookup(Tag, Node, Family, Left) end.

?DOC("What Docker says while we are patient. May be called by any process but net_kernel.").
-spec first_word(ask(), query()) -> said() | silent.
first_word(Ask, Query) ->
    Tag = make_ref(),
    Left = epmd_docker_stock:left(Query),
    case Ask(Tag, Left) of
        {ok, Job} ->
            receive
                {epmd_docker_nif, Tag, Result} -> Result
            after patience(Query, Left) ->
                %% To name the job here also keeps it from being garbage collected, and so
                %% aborted, while we wait.
                _ = epmd_docker_nif:cancel(Job),
                receive
                    {epmd_docker_nif, Tag, Result} -> Result
                after 0 -> silent
                end
            end;
        {error, _} = Error ->
            Error
    end.

%% ContainerId@HostAddr is Docker's by its shape: what listens at that host itself is another node,
%% and to dial it would only disturb it. Docker has all the time, then, and the library says when
%% that is over. With another name DNS and epmd are asked too after a part of it.
patience(#{kind := on_host}, Left) -> Left + ?SLACK_MS;
patience(_, Left) -> Left div ?HEDGE.

?DOC("""
Asks a second time (the first may hang on a connection that is dead), with Stock beside it, whose
answer counts if it finds the node. For the worker of a query.
""").
-spec again(ask(), fun(() -> {ok, Found} | {error, term()}), query()) ->
    said() | {stock, Found} | {stock_failed, epmd_docker:reason()}.
again(Ask, Stock, Query) ->
    Tag = make_ref(),
    case Ask(Tag, epmd_docker_stock:left(Query)) of
        {ok, Job} -> beside(Stock(), Tag, Job, Query);
        {error, _} = Error -> Error
    end.

beside({ok, Found}, _Tag, Job, _Query) ->
    _ = epmd_docker_nif:cancel(Job),
    {stock, Found};
beside({error, _}, Tag, Job, Query) ->
    case answer(Tag, epmd_docker_stock:left(Query), Query) of
        none ->
            _ = epmd_docker_nif:cancel(Job),
            {stock_failed, timeout};
        {error, Reason} ->
            {stock_failed, Reason};
        {ok, _} = Ok ->
            Ok
    end.

answer(Tag, Wait, #{caller := Caller}) ->
    receive
        {epmd_docker_nif, Tag, Result} -> Result;
        %% Nobody waits any more: the job ends with its owner, this process.
        {'DOWN', Caller, process, _, _} -> exit(normal)
    after Wait -> none
    end.
