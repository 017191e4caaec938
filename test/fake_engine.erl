%% A scripted Docker engine for what a real one cannot be made to do: it answers each request as
%% the script says and remembers what it was asked for.
-module(fake_engine).

-export([start/1, start/2, stop/1, host/1, port/1, paths/1, heads/1, inspect/1, inspect/2]).

-type reply() ::
    {Status :: 100..999, Body :: iodata()}
    %% Sends just this, then closes or keeps the connection open.
    | {close, iodata()}
    | {open, iodata()}
    %% The same, and then what the connection's process is sent as {say, iodata()}; Owner gets {feed, Pid}.
    | {feed, iodata(), Owner :: pid()}
    %% Does what it likes with the connection, after which that is closed.
    | {with, fun((gen_tcp:socket()) -> term())}
    | hang.

-type engine() :: {pid(), inet:port_number()}.

-spec start(fun((Path :: string()) -> reply())) -> engine().
start(Script) -> start(Script, "Api-Version: 1.41\r\n").

%% Headers goes into the answer to `/_ping' (which the script answers where it has more than one argument).
-spec start(fun((Path :: string()) -> reply()), string()) -> engine().
start(Script, PingHeaders) ->
    Owner = self(),
    Pid = spawn_link(fun() ->
        {ok, Listen} = gen_tcp:listen(0, [binary, {active, false}, {packet, http_bin}, {reuseaddr, true},
            {ip, {127, 0, 0, 1}}, {backlog, 1024}]),
        Server = self(),
        {ok, Port} = inet:port(Listen),
        Owner ! {self(), Port},
        _ = spawn_link(fun() -> accept(Server, Listen, Script, PingHeaders) end),
        loop([])
    end),
    receive {Pid, Port} -> {Pid, Port} end.

loop(Heads) ->
    receive
        {head, Head} -> loop([Head | Heads]);
        {heads, From} -> From ! {self(), lists:reverse(Heads)}, loop(Heads);
        stop -> exit(shutdown)
    end.

-spec stop(engine()) -> ok.
stop({Pid, _}) ->
    unlink(Pid),
    Pid ! stop,
    ok.

-spec host(engine()) -> string().
host({_, Port}) -> "tcp://127.0.0.1:" ++ integer_to_list(Port).

-spec port(engine()) -> inet:port_number().
port({_, Port}) -> Port.

-spec paths(engine()) -> [string()].
paths(Engine) -> [Path || {'GET', Path, _} <- heads(Engine)].

%% All that came, in order; what is no request for a path is {odd, What, []}.
-spec heads(engine()) -> [{Method :: atom() | binary(), Path :: term(), [{Header :: term(), Value :: binary()}]}].
heads({Pid, _}) ->
    Pid ! {heads, self()},
    receive {Pid, Heads} -> Heads end.

%% What a real engine says of a container with this id whose port is published at 127.0.0.1:Port.
-spec inspect(string()) -> iodata().
inspect(Id) -> inspect(Id, "running").

-spec inspect(string(), string()) -> iodata().
inspect(Id, State) ->
    io_lib:format(
        "{\"Id\":\"~s\",\"Name\":\"/web\",\"State\":{\"Status\":\"~s\",\"Running\":~s,\"Paused\":false},"
        "\"Config\":{\"Hostname\":\"web\",\"Env\":[],\"Labels\":{}},"
        "\"HostConfig\":{\"NetworkMode\":\"default\",\"PortBindings\":{\"12345/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"\"}]}},"
        "\"NetworkSettings\":{\"Ports\":{\"12345/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"40000\"}]},"
        "\"Networks\":{\"bridge\":{\"IPAddress\":\"172.17.0.99\",\"IPPrefixLen\":16}}}}",
        [Id, State, atom_to_list(State =:= "running")]).

accept(Server, Listen, Script, PingHeaders) ->
    {ok, Socket} = gen_tcp:accept(Listen),
    Pid = spawn(fun() ->
        receive go -> serve(Server, Socket, Script, PingHeaders) end
    end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    accept(Server, Listen, Script, PingHeaders).

serve(Server, Socket, Script, PingHeaders) ->
    case request(Socket) of
        {'GET', Path, _} = Head ->
            Server ! {head, Head},
            case answer(Socket, reply(Path, Script, PingHeaders)) of
                next -> serve(Server, Socket, Script, PingHeaders);
                done -> gen_tcp:close(Socket)
            end;
        closed ->
            gen_tcp:close(Socket);
        Odd ->
            Server ! {head, Odd},
            gen_tcp:close(Socket)
    end.

request(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, {http_request, Method, {abs_path, Path}, _}} -> headers(Socket, Method, binary_to_list(Path), []);
        {ok, Odd} -> {odd, Odd, []};
        {error, _} -> closed
    end.

headers(Socket, Method, Path, Headers) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, http_eoh} -> {Method, Path, lists:reverse(Headers)};
        {ok, {http_header, _, Name, _, Value}} -> headers(Socket, Method, Path, [{Name, Value} | Headers]);
        {ok, Odd} -> {odd, Odd, Headers};
        {error, _} -> closed
    end.

reply("/_ping", _, PingHeaders) when is_list(PingHeaders) -> {200, "OK", PingHeaders};
reply(Path, Script, _) -> Script(Path).

answer(Socket, {feed, Bytes, Owner}) ->
    _ = gen_tcp:send(Socket, Bytes),
    Owner ! {feed, self()},
    feed(Socket);
answer(Socket, {Status, Body}) when is_integer(Status) ->
    answer(Socket, {Status, Body, ""});
answer(Socket, {Status, Body, Headers}) ->
    Length = integer_to_list(iolist_size(Body)),
    _ = gen_tcp:send(Socket, ["HTTP/1.1 ", integer_to_list(Status), " X\r\nContent-Type: application/json\r\n",
        Headers, "Content-Length: ", Length, "\r\n\r\n", Body]),
    next;
answer(Socket, {close, Bytes}) ->
    _ = gen_tcp:send(Socket, Bytes),
    done;
answer(Socket, {open, Bytes}) ->
    _ = gen_tcp:send(Socket, Bytes),
    answer(Socket, hang);
answer(Socket, {with, Fun}) ->
    _ = inet:setopts(Socket, [{packet, raw}]),
    _ = Fun(Socket),
    done;
answer(Socket, hang) ->
    %% Until the other side hangs up.
    _ = inet:setopts(Socket, [{packet, raw}]),
    _ = gen_tcp:recv(Socket, 0),
    done.

feed(Socket) ->
    receive
        {say, Bytes} ->
            case gen_tcp:send(Socket, Bytes) of
                ok -> feed(Socket);
                {error, _} -> done
            end
    end.
