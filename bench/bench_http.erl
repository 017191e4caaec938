%% The bare client that lookups are measured against: one kept-alive connection to the engine's
%% unix socket, one inspect at a time, headers and the whole body read, nothing decoded.
-module(bench_http).

-export([connect/2, inspect/2, request/1]).

-export_type([connection/0]).

-opaque connection() :: {raw | http_bin, gen_tcp:socket()}.

%% `raw' is the fastest that gen_tcp can: the buffer holds the whole answer, where OTP's default of
%% 1460 bytes takes several reads. `http_bin' is what OTP offers for HTTP, as it comes.
-spec connect(raw | http_bin, file:filename()) -> connection().
connect(raw, Path) -> connect(raw, Path, [{buffer, 65536}]);
connect(http_bin, Path) -> connect(http_bin, Path, []).

connect(Packet, Path, Options) ->
    {ok, Socket} = gen_tcp:connect({local, Path}, 0, [
        local, binary, {packet, Packet}, {active, false} | Options
    ]),
    {Packet, Socket}.

%% The API version is fixed, so that exactly one request is sent.
-spec request(string()) -> iodata().
request(Container) ->
    iolist_to_binary(["GET /v1.41/containers/", Container, "/json HTTP/1.1\r\nHost: docker\r\n\r\n"]).

%% The body of the answer.
-spec inspect(connection(), iodata()) -> iodata().
inspect({raw, Socket}, Request) ->
    ok = gen_tcp:send(Socket, Request),
    {Head, Rest} = head(Socket, <<>>),
    <<"HTTP/1.1 200", _/binary>> = Head,
    case binary:match(Head, <<"\r\nTransfer-Encoding: chunked">>) of
        nomatch -> exactly(Socket, content_length(Head), Rest);
        _ -> chunks(Socket, Rest, [])
    end;
inspect({http_bin, Socket}, Request) ->
    ok = gen_tcp:send(Socket, Request),
    {ok, {http_response, _, 200, _}} = gen_tcp:recv(Socket, 0, 5000),
    Body = decoded_body(Socket, headers(Socket, none)),
    ok = inet:setopts(Socket, [{packet, http_bin}]),
    Body.

%% --- decoded by OTP ---------------------------------------------------------------------------

headers(Socket, Length) ->
    case gen_tcp:recv(Socket, 0, 5000) of
        {ok, http_eoh} -> Length;
        {ok, {http_header, _, 'Content-Length', _, Digits}} -> headers(Socket, binary_to_integer(Digits));
        {ok, {http_header, _, 'Transfer-Encoding', _, <<"chunked">>}} -> headers(Socket, chunked);
        {ok, {http_header, _, _, _, _}} -> headers(Socket, Length)
    end.

decoded_body(Socket, Length) when is_integer(Length) ->
    ok = inet:setopts(Socket, [{packet, raw}]),
    {ok, Body} = gen_tcp:recv(Socket, Length, 5000),
    Body;
decoded_body(Socket, chunked) ->
    decoded_chunks(Socket, []).

decoded_chunks(Socket, Body) ->
    ok = inet:setopts(Socket, [{packet, line}]),
    {ok, Line} = gen_tcp:recv(Socket, 0, 5000),
    Size = binary_to_integer(binary:part(Line, 0, byte_size(Line) - 2), 16),
    ok = inet:setopts(Socket, [{packet, raw}]),
    {ok, Chunk} = gen_tcp:recv(Socket, Size + 2, 5000),
    case Size of
        0 -> lists:reverse(Body);
        _ -> decoded_chunks(Socket, [binary:part(Chunk, 0, Size) | Body])
    end.

%% --- raw --------------------------------------------------------------------------------------

head(Socket, Read) ->
    {ok, Data} = gen_tcp:recv(Socket, 0, 5000),
    All = <<Read/binary, Data/binary>>,
    case binary:split(All, <<"\r\n\r\n">>) of
        [Head, Rest] -> {Head, Rest};
        [_] -> head(Socket, All)
    end.

content_length(Head) ->
    [_, After] = binary:split(Head, <<"\r\nContent-Length: ">>),
    [Digits | _] = binary:split(After, <<"\r\n">>),
    binary_to_integer(Digits).

exactly(Socket, Length, Read) when byte_size(Read) < Length ->
    {ok, Data} = gen_tcp:recv(Socket, 0, 5000),
    exactly(Socket, Length, <<Read/binary, Data/binary>>);
exactly(_Socket, Length, Read) when byte_size(Read) =:= Length ->
    Read.

chunks(Socket, Read, Body) ->
    case binary:split(Read, <<"\r\n">>) of
        [Size, Rest] -> chunk(Socket, binary_to_integer(Size, 16), Rest, Body);
        [_] -> chunks(Socket, more(Socket, Read), Body)
    end.

chunk(Socket, Size, Read, Body) when byte_size(Read) < Size + 2 ->
    chunk(Socket, Size, more(Socket, Read), Body);
chunk(_Socket, 0, <<"\r\n">>, Body) ->
    lists:reverse(Body);
chunk(Socket, Size, Read, Body) ->
    <<Chunk:Size/binary, "\r\n", Rest/binary>> = Read,
    chunks(Socket, Rest, [Chunk | Body]).

more(Socket, Read) ->
    {ok, Data} = gen_tcp:recv(Socket, 0, 5000),
    <<Read/binary, Data/binary>>.
