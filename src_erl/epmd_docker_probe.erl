%% OTP's distribution handshake, from our side, on a socket of its own and only as far as it takes
%% to know whether a connection would be made. Frames as of dist_util, OTP 25 to 29.
%%
%% The other side is asked as by a node without a name (DFLAG_NAME_ME, as `-sname undefined' uses it):
%% it gives us one out of its own pool, so nothing of ours is disturbed there, whatever connection
%% it has with this node, and no atom is left behind. It can only tell whether it takes our cookie by
%% going on to accept us: for a moment it then has one more hidden connection.
-module(epmd_docker_probe).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([tcp/4, tls/3, hello/3, cookie/4, status_of/3, hang_up/2, close/1, head/1]).

-export_type([connection/0, hello/0, why/0]).

-opaque connection() :: {gen_tcp, gen_tcp:socket()} | {ssl, ssl:sslsocket()}.
-type hello() :: #{name := binary(), challenge := 0..16#FFFFFFFF, flags := non_neg_integer()}.
%% What came instead of the answer of a node.
-type why() ::
    closed
    | timeout
    %% It speaks TLS, or what it said first.
    | speaks_tls
    | {not_erlang, Head :: binary()}
    | {status, Text :: binary()}
    | {tls_alert, Alert :: atom(), epmd_docker_handshake:whose()}
    | {tls, Detail :: term()}.
%% The name that we send: none, or this one.
-type sender() :: {no_name, Host :: string()} | node().

%% No frame of a handshake is longer: a name of 255 characters, and some numbers.
-define(LONGEST, 1100).
%% For the alert of one that does not take our certificate.
-define(ALERT_MS, 300).
%% What is shown of an answer that is none of a node.
-define(HEAD, 32).
-define(NAME_ME, (2 bsl 32)).

?DOC("Connects; the limit is in ms.").
-spec tcp(inet:ip_address(), inet:port_number(), inet | inet6, pos_integer()) ->
    {ok, connection()} | {error, inet:posix() | timeout}.
tcp(Ip, Port, Family, Limit) ->
    %% Such as the address to connect from.
    Given = application:get_env(kernel, inet_dist_connect_options, []),
    case gen_tcp:connect(Ip, Port, [Family, binary, {active, false}, {nodelay, true} | Given], Limit) of
        {ok, Socket} -> {ok, {gen_tcp, Socket}};
        {error, Reason} -> {error, Reason}
    end.

?DOC("Goes on with TLS, by the options that the distribution of this node has.").
-spec tls(connection(), Host :: string(), pos_integer()) -> {ok, connection()} | {error, why()}.
tls({gen_tcp, Socket}, Host, Limit) ->
    try ssl:connect(Socket, [{server_name_indication, Host} | tls_options()], Limit) of
        {ok, Tls} -> accepted(Tls);
        {error, Reason} -> {error, tls_failed(Reason)}
    catch
        error:Reason -> {error, {tls, Reason}}
    end.

%% With TLS 1.3 the other side looks at our certificate after this side has finished, and whoever writes
%% to one that has hung up may lose its alert. A node says nothing by itself before it hears of us.
accepted(Tls) ->
    case ssl:recv(Tls, 0, ?ALERT_MS) of
        {error, timeout} -> {ok, {ssl, Tls}};
        {error, Reason} -> {error, tls_failed(Reason)};
        {ok, Said} -> {error, {not_erlang, head(Said)}}
    end.

tls_failed(closed) -> closed;
tls_failed(timeout) -> timeout;
tls_failed(Reason) ->
    case epmd_docker_handshake:tls_alert(Reason) of
        {Alert, Whose} -> {tls_alert, Alert, Whose};
        none -> {tls, Reason}
    end.

%% As inet_tls_dist:get_ssl_options/1 has them, which is internal: a table, else flags.
tls_options() ->
    Options =
        try ets:lookup(ssl_dist_opts, client) of
            [{client, Given}] -> Given;
            [] -> flag_options()
        catch
            error:badarg -> flag_options()
        end,
    case whereis(ssl_dist_sup) of
        undefined -> _ = application:ensure_all_started(ssl), versions(Options);
        %% The supervisors of the distribution: the application need not run.
        _ -> [{erl_dist, true} | versions(Options)]
    end.

versions(Options) ->
    Known = [with_fun(Option) || Option <- Options, not is_tuple(Option) orelse element(1, Option) =/= ktls],
    case Known =:= [] orelse proplists:is_defined(versions, Known) of
        true -> Known;
        false -> [{versions, ['tlsv1.2']} | Known]
    end.

with_fun({verify_fun, {Module, Function, State}}) -> {verify_fun, {fun Module:Function/3, State}};
with_fun(Option) -> Option.

flag_options() ->
    case init:get_argument(ssl_dist_opt) of
        {ok, Given} -> flag_options(lists:append(Given));
        error -> []
    end.

flag_options(["client_" ++ Key, Value | Rest]) -> flag_option(Key, Value) ++ flag_options(Rest);
flag_options([_, _ | Rest]) -> flag_options(Rest);
flag_options(_) -> [].

flag_option("certfile", File) -> [{certfile, File}];
flag_option("cacertfile", File) -> [{cacertfile, File}];
flag_option("keyfile", File) -> [{keyfile, File}];
flag_option("password", Password) -> [{password, Password}];
flag_option("verify", "verify_peer") -> [{verify, verify_peer}];
flag_option("verify", "verify_none") -> [{verify, verify_none}];
flag_option("depth", Depth) -> [{depth, list_to_integer(Depth)}];
flag_option(_, _) -> [].

?DOC("What the node there calls itself, and its challenge.").
-spec hello(connection(), Host :: string(), pos_integer()) -> {ok, hello()} | {error, why()}.
hello(Connection, Host, Limit) ->
    case status_of(Connection, {no_name, Host}, Limit) of
        {ok, <<"named:", _/binary>>} -> challenge(receive_frame(Connection, Limit));
        {ok, Status} -> {error, {status, Status}};
        {error, _} = Error -> Error
    end.

challenge({ok, <<"N", Flags:64, Challenge:32, _Creation:32, Length:16, Name:Length/binary, _/binary>>}) ->
    {ok, #{name => text(Name), challenge => Challenge, flags => Flags}};
challenge({ok, Other}) ->
    {error, {not_erlang, head(Other)}};
challenge({error, _} = Error) ->
    Error.

%% Up to OTP 25 names are sent as latin1.
text(Name) ->
    case unicode:characters_to_binary(Name) of
        Utf8 when is_binary(Utf8) -> Utf8;
        _ -> unicode:characters_to_binary(Name, latin1)
    end.

?DOC("Says who we are, and gives what is answered: `ok`, `alive`, `not_allowed` ...").
-spec status_of(connection(), sender(), pos_integer()) -> {ok, binary()} | {error, why()}.
status_of(Connection, Sender, Limit) ->
    %% What the VM itself would say, so that it fits the version of OTP; `default' is not published.
    Flags = element(2, erts_internal:get_dflags()),
    case transmit(Connection, introduction(Sender, Flags)) of
        ok -> status(poked(receive_frame(Connection, Limit), Connection));
        {error, Reason} -> {error, lost(Reason)}
    end.

introduction({no_name, Host}, Flags) ->
    Name = unicode:characters_to_binary(Host),
    [<<$N, (Flags bor ?NAME_ME):64, 0:32, (byte_size(Name)):16>>, Name];
introduction(Node, Flags) ->
    Name = atom_to_binary(Node),
    [<<$N, Flags:64, (erts_internal:get_creation()):32, (byte_size(Name)):16>>, Name].

%% Who says nothing may wait for the end of a line, as what speaks HTTP does.
poked({error, timeout}, {Transport, Socket} = Connection) ->
    _ = Transport:send(Socket, "\r\n\r\n"),
    receive_frame(Connection, 500);
poked(Answer, _Connection) ->
    Answer.

status({ok, <<"s", Status/binary>>}) -> {ok, Status};
status({ok, Other}) -> {error, {not_erlang, head(Other)}};
status({error, _} = Error) -> Error.

?DOC("Proves that we know the cookie; `refused` where the other side has another one.").
-spec cookie(connection(), hello(), Cookie :: atom() | string(), pos_integer()) ->
    ok | {error, refused | why()}.
cookie(Connection, #{challenge := Theirs}, Cookie, Limit) ->
    Ours = rand:uniform(16#FFFFFFFF),
    Expected = digest(Cookie, Ours),
    case transmit(Connection, [<<$r, Ours:32>>, digest(Cookie, Theirs)]) of
        ok ->
            case receive_frame(Connection, Limit) of
                {ok, <<"a", Expected:16/binary>>} -> ok;
                {ok, <<"a", _/binary>>} -> {error, refused};
                {ok, Other} -> {error, {not_erlang, head(Other)}};
                %% It hangs up, and tells its own log why.
                {error, closed} -> {error, refused};
                {error, _} = Error -> Error
            end;
        {error, Reason} ->
            {error, lost(Reason)}
    end.

digest(Cookie, Challenge) when is_atom(Cookie) -> digest(atom_to_list(Cookie), Challenge);
digest(Cookie, Challenge) ->
    erlang:md5([Cookie | integer_to_list(Challenge)]).

?DOC("""
Ends the connection and waits until the other side has noticed. Until then it holds a place for the name that
it was told, and would turn away a real connection of that name.
""").
-spec hang_up(connection(), pos_integer()) -> ok.
hang_up({Transport, Socket} = Connection, Limit) ->
    _ = shut(Transport, Socket),
    ok = drain(Connection, erlang:monotonic_time(millisecond) + Limit),
    close(Connection).

shut(gen_tcp, Socket) -> gen_tcp:shutdown(Socket, write);
shut(ssl, Socket) -> ssl:shutdown(Socket, write).

drain({Transport, Socket} = Connection, Deadline) ->
    Left = Deadline - erlang:monotonic_time(millisecond),
    case Left > 0 andalso Transport:recv(Socket, 0, Left) of
        {ok, _} -> drain(Connection, Deadline);
        _ -> ok
    end.

?DOC("Ends the connection.").
-spec close(connection()) -> ok.
close({Transport, Socket}) ->
    _ = Transport:close(Socket),
    ok.

%% ---------------------------------------------------------------------------------------------
%% Frames: the length takes two bytes, over TLS four
%% ---------------------------------------------------------------------------------------------

length_bytes(gen_tcp) -> 2;
length_bytes(ssl) -> 4.

transmit({Transport, Socket}, Frame) ->
    Bits = length_bytes(Transport) * 8,
    Transport:send(Socket, [<<(iolist_size(Frame)):Bits>>, Frame]).

receive_frame({Transport, Socket} = Connection, Limit) ->
    Bytes = length_bytes(Transport),
    case Transport:recv(Socket, Bytes, Limit) of
        {ok, <<Length:Bytes/unit:8>>} when Length > 0, Length =< ?LONGEST ->
            frame(Transport:recv(Socket, Length, Limit));
        {ok, Prefix} ->
            stranger(Prefix, Connection);
        {error, Reason} ->
            {error, lost(Reason)}
    end.

frame({ok, Frame}) -> {ok, Frame};
frame({error, Reason}) -> {error, lost(Reason)}.

%% A moment for the rest of its first words.
stranger(Prefix, {Transport, Socket}) ->
    Rest =
        case Transport:recv(Socket, 0, 200) of
            {ok, More} -> More;
            {error, _} -> <<>>
        end,
    case <<Prefix/binary, Rest/binary>> of
        %% An alert, or another record, of any TLS.
        <<Type, 3, _/binary>> when Type >= 20, Type =< 23 -> {error, speaks_tls};
        Said -> {error, {not_erlang, head(Said)}}
    end.

?DOC("What can be printed of the first line of something that is no node's.").
-spec head(binary()) -> binary().
head(Said) ->
    Start = binary:part(Said, 0, min(?HEAD, byte_size(Said))),
    [Line | _] = binary:split(Start, [<<"\r">>, <<"\n">>]),
    << <<(case C >= 32 andalso C < 127 of true -> C; false -> $. end)>> || <<C>> <= Line >>.

lost(timeout) -> timeout;
lost({tls_alert, _} = Alert) -> tls_failed(Alert);
lost(_) -> closed.
