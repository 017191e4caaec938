%% explain/1 from the command line, without a running node (priv/bin/epmd_docker):
%%
%%     erl -noinput -pa .../epmd_docker/ebin -s epmd_docker_explain_cli main -extra explain NODE
%%
%% With the distribution flags of a node (-sname, -epmd_module ...) it is one, and sees what that would.
-module(epmd_docker_explain_cli).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([main/0, cookie/1]).

?DOC("Prints the explanation and ends the VM: 0 can be reached, 1 cannot, 2 was not asked properly.").
-spec main() -> no_return().
main() ->
    case init:get_plain_arguments() of
        ["explain", Node] ->
            ok = io:setopts(standard_io, [{encoding, unicode}]),
            configured(Node);
        _ ->
            io:put_chars(standard_error, "usage: epmd_docker explain NODE [FLAGS OF erl]\n"),
            halt(2)
    end.

%% A node has done so while it booted.
-spec configured(string()) -> no_return().
configured(Node) ->
    case is_alive() orelse epmd_docker_boot:configure() of
        {error, Bad} ->
            io:put_chars(standard_error, [epmd_docker_options:format_error(Bad), $\n]),
            halt(2);
        _ ->
            explained(epmd_docker_explain:run(Node))
    end.

-spec explained(epmd_docker_explain:explanation()) -> no_return().
explained(#{cause := Cause} = Explanation) ->
    ok = io:put_chars(epmd_docker_explain_text:format(Explanation)),
    halt(case is_well(Cause) of true -> 0; false -> 1 end).

is_well(Cause) -> lists:member(Cause, [none, connected, this_node]).

?DOC("""
The cookie that a node with these flags and this home would have for another node; `nocookie` if there is
none. As auth reads them (OTP 25 to 29): of several `-setcookie` none counts.
""").
-spec cookie(Node :: binary()) -> string() | nocookie.
cookie(Node) ->
    Given =
        case init:get_argument(setcookie) of
            {ok, Flags} -> Flags;
            error -> []
        end,
    Other = unicode:characters_to_list(Node),
    case {[Cookie || [Name, Cookie] <- Given, Name =:= Other], [Flag || Flag <- Given, length(Flag) < 2]} of
        {[Cookie], _} -> Cookie;
        {_, [[Cookie]]} -> Cookie;
        _ ->
            first_file([filename:join(Home, ".erlang.cookie") || {ok, [[Home]]} <- [init:get_argument(home)]] ++
                [filename:join(filename:basedir(user_config, "erlang"), ".erlang.cookie")])
    end.

%% The first line of the first file that there is.
first_file([]) ->
    nocookie;
first_file([File | Files]) ->
    case file:read_file(File) of
        {ok, <<Text:1024/binary, _/binary>>} -> line(Text);
        {ok, Text} -> line(Text);
        {error, _} -> first_file(Files)
    end.

line(Text) ->
    case string:lexemes(binary_to_list(Text), " \t\r\n") of
        [Cookie | _] -> Cookie;
        [] -> nocookie
    end.
