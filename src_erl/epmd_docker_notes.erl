%% The process that logs what happens to daemons by itself: a lookup may be long in coming.
%%
%% It is linked to nobody, so that nothing ends with it, and started again by the next look-up
%% that asks. A daemon that comes and goes all the time gets a line each ten seconds at most.
-module(epmd_docker_notes).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([start/0]).
%% For a new version of this module.
-export([loop/1]).

%% Daemons of which something was logged a moment ago: what has happened since, and how often.
-type quiet() :: #{Daemon :: binary() => {Changes :: non_neg_integer(), Last :: note()}}.
-type note() :: up | {down, epmd_docker:reason()} | {not_watched, epmd_docker:reason()}.

-define(QUIET_MS, 10_000).

?DOC("Sees to it that the process is there.").
-spec start() -> ok.
start() ->
    case whereis(?MODULE) of
        undefined -> _ = spawn(fun init/0), ok;
        _ -> ok
    end.

init() ->
    try register(?MODULE, self()) of
        true ->
            _ = epmd_docker_nif:listen(),
            loop(#{})
    catch
        %% Another one was faster.
        error:badarg -> ok
    end.

?DOC(false).
-spec loop(quiet()) -> no_return().
loop(Quiet) ->
    receive
        {epmd_docker_nif, notice, Daemon, Note} ->
            ok = count(Daemon, Note),
            ?MODULE:loop(happened(Daemon, Note, Quiet));
        {quiet_ends, Daemon} ->
            ?MODULE:loop(quiet_ends(Daemon, Quiet));
        _ ->
            ?MODULE:loop(Quiet)
    end.

count(_Daemon, {not_watched, _}) -> ok;
count(Daemon, Note) -> epmd_docker_stats:daemon(Daemon, Note).

happened(Daemon, Note, Quiet) ->
    case Quiet of
        #{Daemon := {Changes, _}} -> Quiet#{Daemon := {Changes + 1, Note}};
        _ -> told(Daemon, Note, 0, Quiet)
    end.

quiet_ends(Daemon, Quiet) ->
    case Quiet of
        #{Daemon := {0, _}} -> maps:remove(Daemon, Quiet);
        #{Daemon := {Changes, Last}} -> told(Daemon, Last, Changes, Quiet);
        _ -> Quiet
    end.

told(Daemon, Note, Changes, Quiet) ->
    ?LOG_WARNING((report(Note))#{daemon => Daemon, changes => Changes}, ?LOG_META),
    _ = erlang:send_after(?QUIET_MS, self(), {quiet_ends, Daemon}),
    Quiet#{Daemon => {0, Note}}.

report(up) -> #{what => daemon_up};
report({down, Reason}) -> #{what => daemon_down, reason => Reason};
report({not_watched, Reason}) -> #{what => not_watched, reason => Reason}.
