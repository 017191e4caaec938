%% Programs that only behave as they do for a person when they run on a terminal: `script' gives
%% them one.
-module(terminal).

-export([session/2]).

-type step() ::
    %% Wait until this is printed (after what earlier steps have seen).
    {expect, string()}
    %% Type this; a line ends with "\r".
    | {type, string()}
    %% Wait until the program has ended.
    | ended.

-define(LIMIT, 20_000).

%% Runs a shell command on a terminal, step by step; everything that it printed. Its processes are
%% ended in any case.
-spec session(string(), [step()]) -> binary().
session(Command, Steps) ->
    Port = open_port({spawn_executable, os:find_executable("script")}, [
        {args, ["-qfec", Command, "/dev/null"]}, {env, [{"TERM", "xterm"}]}, exit_status, binary, hide
    ]),
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    try
        {Seen, Rest} = lists:foldl(fun(Step, Output) -> step(Step, Port, Output) end, {<<>>, <<>>}, Steps),
        <<Seen/binary, Rest/binary>>
    after
        %% Gone already where the session ended by itself.
        _ = os:cmd("pkill -KILL -P " ++ integer_to_list(Pid)),
        catch_close(Port)
    end.

catch_close(Port) ->
    try port_close(Port)
    catch error:badarg -> true
    end.

step({type, Text}, Port, Output) ->
    true = port_command(Port, Text),
    Output;
step({expect, Text}, Port, {Seen, Rest}) ->
    case string:split(Rest, Text) of
        [Before, After] ->
            {iolist_to_binary([Seen, Before, Text]), iolist_to_binary(After)};
        [_] ->
            step({expect, Text}, Port, {Seen, more(Port, Text, Seen, Rest)})
    end;
step(ended, Port, {Seen, Rest}) ->
    receive
        {Port, {data, Data}} -> step(ended, Port, {Seen, <<Rest/binary, Data/binary>>});
        {Port, {exit_status, _}} -> {Seen, Rest}
    after ?LIMIT -> ct:fail({not_ended, Seen, Rest})
    end.

more(Port, Wanted, Seen, Rest) ->
    receive
        {Port, {data, Data}} -> <<Rest/binary, Data/binary>>;
        {Port, {exit_status, Status}} -> ct:fail({ended, Status, {no, Wanted}, Seen, Rest})
    after ?LIMIT -> ct:fail({not_printed, Wanted, Seen, Rest})
    end.
