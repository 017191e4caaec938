#!/usr/bin/env escript
%%! -noinput
%% read_only_proxy SOCKET PORT: a Docker API over TCP that answers GET of the few paths that
%% epmd_docker asks for, and nothing else. Access to a Docker socket is root on that host; through
%% this one can look but not touch.
%%
%% One request for each connection: the engine is told to close, so an answer ends with its stream
%% and needs no counting. /events works too.

main([Socket, Port]) ->
    {ok, Listen} = gen_tcp:listen(list_to_integer(Port), [
        binary, {packet, http_bin}, {active, false}, {reuseaddr, true}, {backlog, 128}
    ]),
    accept(Listen, Socket);
main(_) ->
    io:format(standard_error, "usage: read_only_proxy SOCKET PORT~n", []),
    halt(2).

accept(Listen, Socket) ->
    {ok, Client} = gen_tcp:accept(Listen),
    Pid = spawn(fun() -> receive go -> serve(Client, Socket) end end),
    ok = gen_tcp:controlling_process(Client, Pid),
    Pid ! go,
    accept(Listen, Socket).

serve(Client, Socket) ->
    case gen_tcp:recv(Client, 0, 10000) of
        {ok, {http_request, 'GET', {abs_path, Path}, _Version}} ->
            case skip_headers(Client) andalso allowed(Path) of
                true -> forward(Client, Socket, Path);
                false -> refuse(Client)
            end;
        _ ->
            refuse(Client)
    end,
    gen_tcp:close(Client).

%% No header of the client reaches the engine.
skip_headers(Client) ->
    case gen_tcp:recv(Client, 0, 10000) of
        {ok, http_eoh} -> true;
        {ok, {http_header, _, _, _, _}} -> skip_headers(Client);
        _ -> false
    end.

allowed(Path) ->
    Paths = "^(/v[0-9.]+)?/(_ping|version|networks|events|containers/json|containers/[A-Za-z0-9][A-Za-z0-9_.-]*/json)([?][^ ]*)?$",
    re:run(Path, Paths, [{capture, none}]) =:= match.

refuse(Client) ->
    gen_tcp:send(Client, <<
        "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n"
        "{\"message\":\"this proxy only reads\"}\n"
    >>).

forward(Client, Socket, Path) ->
    case gen_tcp:connect({local, Socket}, 0, [binary, {active, false}], 5000) of
        {ok, Engine} ->
            ok = gen_tcp:send(Engine, [
                "GET ", Path, " HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"
            ]),
            ok = inet:setopts(Client, [{packet, raw}]),
            copy(Engine, Client);
        {error, _} ->
            refuse(Client)
    end.

copy(From, To) ->
    case gen_tcp:recv(From, 0) of
        {ok, Data} ->
            case gen_tcp:send(To, Data) of
                ok -> copy(From, To);
                {error, _} -> ok
            end;
        {error, _} ->
            ok
    end.
