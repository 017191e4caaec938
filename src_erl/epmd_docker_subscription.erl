%% Subscriptions to what happens at Docker hosts. The native library tells a process in between, which
%% hands on what it is told for as long as the subscriber reads it: the mailbox of one that does not
%% (suspended, busy) must not grow for ever. Nobody is linked to that process.
-module(epmd_docker_subscription).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([start/1, stop/0]).

%% In the process dictionary of the subscriber: the process in between.
-define(KEY, {?MODULE, subscription}).
%% A subscriber with so many messages in its mailbox is told no more until it has read most of them.
-define(MANY, 1000).
-define(FEW, 100).
%% Between two looks at such a mailbox, in ms.
-define(PAUSE, 200).
-define(PROJECT, <<"com.docker.compose.project">>).

-type wanted() :: {Hosts :: [{Given :: term(), binary() | undefined}], Labels :: [{binary(), binary()}]}.

?DOC("Subscribes the calling process.").
-spec start(epmd_docker:subscription()) -> ok | {error, epmd_docker:reason()}.
start(Options) ->
    case {checked(Options), epmd_docker_options:current()} of
        {{ok, Wanted}, {ok, #{watch := true}}} -> start_between(Wanted);
        {{ok, _}, {ok, _}} -> {error, not_watched};
        {{ok, _}, {error, _} = Error} -> Error;
        {error, _} -> {error, {bad_subscription, Options}}
    end.

?DOC("Ends the calling process's subscription, if it has one: no message comes after this.").
-spec stop() -> ok.
stop() ->
    case erase(?KEY) of
        undefined ->
            ok;
        Between ->
            Monitor = monitor(process, Between),
            %% The library lets go what belongs to a dead process.
            true = exit(Between, kill),
            receive {'DOWN', Monitor, process, _, _} -> ok end
    end.

%% ---------------------------------------------------------------------------------------------
%% What is wanted
%% ---------------------------------------------------------------------------------------------

-spec checked(term()) -> {ok, wanted()} | error.
checked(Options) when is_map(Options) ->
    Unknown = maps:keys(Options) -- [host, hosts, project, labels],
    Hosts = hosts(Options),
    Labels = [project(Options) | labels(maps:get(labels, Options, []))],
    case Unknown =:= [] andalso Hosts =/= [] andalso not lists:member(error, Hosts ++ Labels) of
        true -> {ok, {Hosts, lists:append(Labels)}};
        false -> error
    end;
checked(_) ->
    error.

hosts(#{host := _, hosts := _}) -> [error];
hosts(#{hosts := Hosts}) -> each(fun given/1, Hosts);
hosts(#{host := Host}) -> [given(Host)];
hosts(_) -> [given(undefined)].

given(Host) ->
    case host(Host) of
        error -> error;
        Text -> {Host, Text}
    end.

%% The local daemon.
host(undefined) -> undefined;
host(Host) when is_atom(Host) -> atom_to_binary(Host);
host(Host) when is_tuple(Host) ->
    case inet:ntoa(Host) of
        {error, _} -> error;
        Text -> list_to_binary(Text)
    end;
host(Host) ->
    case text(Host) of
        <<>> -> error;
        Text -> Text
    end.

%% A project is a label like others.
project(Options) ->
    case text(maps:get(project, Options, undefined)) of
        <<"undefined">> -> [];
        <<>> -> error;
        Project -> label({?PROJECT, Project})
    end.

labels(Labels) when is_map(Labels) -> labels(maps:to_list(Labels));
labels(Labels) -> each(fun label/1, Labels).

label({Key, Value}) ->
    case {text(Key), text(Value)} of
        {error, _} -> error;
        {_, error} -> error;
        Label -> [Label]
    end;
label(_) ->
    error.

text(error) -> error;
text(Text) when is_atom(Text) -> atom_to_binary(Text);
text(Text) ->
    try unicode:characters_to_binary(Text) of
        Binary when is_binary(Binary) -> Binary;
        _ -> error
    catch
        error:_ -> error
    end.

%% Of a list that is none the caller hears by `error'.
each(Fun, List) ->
    try lists:map(Fun, List)
    catch
        error:_ -> [error]
    end.

%% ---------------------------------------------------------------------------------------------
%% The process in between
%% ---------------------------------------------------------------------------------------------

start_between(Wanted) ->
    Subscriber = self(),
    {Between, Monitor} = spawn_monitor(fun() -> between(Subscriber, Wanted) end),
    receive
        {Between, ok} ->
            demonitor(Monitor, [flush]),
            _ = put(?KEY, Between),
            ok;
        {Between, {error, _} = Error} ->
            demonitor(Monitor, [flush]),
            Error;
        {'DOWN', Monitor, process, _, _} ->
            {error, cancelled}
    end.

between(Subscriber, Wanted) ->
    Monitor = monitor(process, Subscriber),
    case subscribe(Wanted) of
        {ok, Subscriptions} ->
            Subscriber ! {self(), ok},
            hand_on(Subscriber, Monitor, Wanted, Subscriptions);
        {error, _} = Error ->
            Subscriber ! {self(), Error}
    end.

%% All hosts or none: what is subscribed to ends with this process.
subscribe({Hosts, Labels}) ->
    Results = [{Given, epmd_docker_nif:subscribe(Host, Labels)} || {Given, Host} <- Hosts],
    case [{error, reason(Given, Reason)} || {Given, {error, Reason}} <- Results] of
        [] -> {ok, [Subscription || {_, {ok, Subscription}} <- Results]};
        [Error | _] -> Error
    end.

%% The library says so of a text that is no host.
reason(Given, no_such_container) -> {bad_host, Given};
reason(_, Reason) -> Reason.

hand_on(Subscriber, Monitor, Wanted, Subscriptions) ->
    receive
        {epmd_docker, _, _} = Message ->
            case has_at_most(?MANY, Subscriber) of
                true ->
                    Subscriber ! Message,
                    hand_on(Subscriber, Monitor, Wanted, Subscriptions);
                false ->
                    lists:foreach(fun epmd_docker_nif:unsubscribe/1, Subscriptions),
                    pause(Subscriber, Monitor, Wanted)
            end;
        {'DOWN', Monitor, process, _, _} ->
            ok
    end.

%% What happens meanwhile is in the snapshots that it gets when it has read.
pause(Subscriber, Monitor, Wanted) ->
    receive
        {epmd_docker, _, _} -> pause(Subscriber, Monitor, Wanted);
        {'DOWN', Monitor, process, _, _} -> ok
    after ?PAUSE ->
        case has_at_most(?FEW, Subscriber) andalso subscribe(Wanted) of
            {ok, Subscriptions} -> hand_on(Subscriber, Monitor, Wanted, Subscriptions);
            _ -> pause(Subscriber, Monitor, Wanted)
        end
    end.

has_at_most(Number, Subscriber) ->
    case process_info(Subscriber, message_queue_len) of
        {message_queue_len, Length} -> Length =< Number;
        undefined -> false
    end.
