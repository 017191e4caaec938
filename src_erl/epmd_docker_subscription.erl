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
    case epmd_docker_options:current() of
        {ok, #{watch := true}} -> subscribed(subscribe(Options));
        {ok, _} -> {error, not_watched};
        {error, _} = Error -> Error
    end.

subscribe(Options) ->
    epmd_docker_nif:subscribe(host(Options), project(Options)).

host(#{host := Host}) when is_tuple(Host) -> list_to_binary(inet:ntoa(Host));
host(#{host := Host}) when is_atom(Host) -> atom_to_binary(Host);
host(#{host := Host}) -> unicode:characters_to_binary(Host);
host(_) -> undefined.

project(#{project := Project}) -> unicode:characters_to_binary(Project);
project(_) -> undefined.

subscribed({ok, Subscription}) ->
    _ = put(?KEY, Subscription),
    ok;
subscribed({error, _} = Error) ->
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
