%% Subscriptions to what happens at a daemon. The native library sends the messages itself; here is
%% only where a process keeps its subscription.
-module(epmd_docker_subscription).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([start/1, stop/0]).

%% In the process dictionary: the subscription ends with the process, or when it is taken out.
-define(KEY, {?MODULE, subscription}).

?DOC("Subscribes the calling process.").
-spec start(epmd_docker:subscription()) -> ok | {error, epmd_docker:reason()}.
start(Options) ->
    case {checked(Options), epmd_docker_options:current()} of
        {{ok, Host, Project}, {ok, #{watch := true}}} ->
            subscribed(epmd_docker_nif:subscribe(Host, Project), Options);
        {{ok, _, _}, {ok, _}} ->
            {error, not_watched};
        {{ok, _, _}, {error, _} = Error} ->
            Error;
        {error, _} ->
            {error, {bad_subscription, Options}}
    end.

%% Host and project as binaries; undefined is the local daemon, and every project.
checked(Options) when is_map(Options) ->
    Values = [text(maps:get(Key, Options, undefined)) || Key <- [host, project]],
    case {maps:keys(Options) -- [host, project], Values} of
        {[], [Host, Project]} when Host =/= error, Project =/= error -> {ok, Host, Project};
        _ -> error
    end;
checked(_) ->
    error.

text(undefined) -> undefined;
text(Value) when is_atom(Value) -> atom_to_binary(Value);
text(Value) when is_tuple(Value) ->
    case inet:ntoa(Value) of
        {error, _} -> error;
        Text -> list_to_binary(Text)
    end;
text(Value) ->
    try unicode:characters_to_binary(Value) of
        Text when is_binary(Text), Text =/= <<>> -> Text;
        _ -> error
    catch
        error:_ -> error
    end.

subscribed({ok, Subscription}, _Options) ->
    _ = put(?KEY, Subscription),
    ok;
%% The library says so of a text that is no host.
subscribed({error, no_such_container}, #{host := Host}) ->
    {error, {bad_host, Host}};
subscribed({error, _} = Error, _Options) ->
    Error.

?DOC("Ends the calling process's subscription, if it has one.").
-spec stop() -> ok.
stop() ->
    case erase(?KEY) of
        undefined ->
            ok;
        Subscription ->
            _ = epmd_docker_nif:unsubscribe(Subscription),
            ok
    end.
