%% TLS to Docker daemons: what its settings lead to, and a sentence for each way of failing.
%%
%% No certificate is read here: the native library does so when it connects. The settings are
%% completed while kernel starts: no io, no file, no inet:getaddr there.
-module(epmd_docker_tls).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([complete/1, native/1, switch/1, folder/1, format/1]).

-export_type([fault/0, file_fault/0]).

%% Why there is no TLS session with a daemon (docker_discovery::TlsFault).
-type fault() ::
    {file, Path :: binary(), file_fault()}
    | not_tls
    | closed
    | timeout
    | no_common_version
    %% The daemon's certificate.
    | unknown_ca
    | {wrong_name, [Name :: binary()]}
    | expired
    | not_yet_valid
    | {bad_certificate, Text :: binary()}
    %% Ours.
    | client_certificate_required
    | {client_certificate_refused, unknown_ca | expired | revoked | forbidden | bad_certificate}
    | {alert, Name :: binary()}
    | {other, Text :: binary()}.
-type file_fault() ::
    inet:posix() | not_a_file | too_large | no_certificate | no_key | key_mismatch.

%% What Docker's daemons listen on by custom, without and with TLS.
-define(PLAIN_PORT, 4243).
-define(TLS_PORT, 2376).

%% ---------------------------------------------------------------------------------------------
%% Settings
%% ---------------------------------------------------------------------------------------------

?DOC("A parser of `docker_tls`: as docker's own client, any text that is not empty switches it on.").
-spec switch(term()) -> {ok, boolean()} | {expected, iodata()}.
switch(On) when is_boolean(On) -> {ok, On};
switch([_ | _]) -> {ok, true};
switch(_) -> {expected, "true or false"}.

?DOC("A parser of a folder's path. A relative one is taken from where the node was started.").
-spec folder(term()) -> {ok, string()} | {expected, iodata()}.
folder([_ | _] = Path) ->
    %% What is no text fails, and is a bad setting.
    true = is_binary(unicode:characters_to_binary(Path)),
    {ok, absolute(Path)};
folder(_) ->
    {expected, "the path of a folder"}.

%% Not filename:absname/1: that asks file_server, which is not there yet.
absolute(Path) ->
    case prim_file:get_cwd() of
        {ok, Here} -> filename:absname(Path, Here);
        {error, _} -> Path
    end.

?DOC("""
The settings that follow from others: whoever wants TLS to the local daemon wants it to those of
other hosts, with the same certificates, unless he says otherwise.
""").
-spec complete(map()) -> map().
complete(#{docker_tls := Tls, docker_cert_path := Path0, remote_tls := Remote0} = Options) ->
    Remote = default(Remote0, Tls),
    Path = default(Path0, docker_folder()),
    RemotePath = default(maps:get(remote_cert_path, Options), Path),
    _ = [no_folder() || {true, undefined} <- [{Tls, Path}, {Remote, RemotePath}]],
    Options#{
        docker_cert_path := Path,
        remote_tls := Remote,
        remote_cert_path := RemotePath,
        docker_daemon_port := default(maps:get(docker_daemon_port, Options), port(Remote))
    }.

default(undefined, Default) -> Default;
default(Value, _) -> Value.

port(true) -> ?TLS_PORT;
port(false) -> ?PLAIN_PORT.

%% Where docker's own client keeps its settings.
docker_folder() ->
    case {os:getenv("DOCKER_CONFIG", ""), os:getenv("HOME", "")} of
        {[_ | _] = Config, _} -> absolute(Config);
        {"", [_ | _] = Home} -> filename:join(Home, ".docker");
        {"", ""} -> undefined
    end.

-spec no_folder() -> no_return().
no_folder() ->
    throw({bad_setting, docker_cert_path, default, "",
        "must be given for TLS where there is neither DOCKER_CONFIG nor HOME"}).

?DOC("What of it the native library needs: for each kind of daemon its folder, if it speaks TLS.").
-spec native(map()) -> #{docker_tls | remote_tls := undefined | binary()}.
native(#{docker_tls := Tls, docker_cert_path := Path, remote_tls := Remote, remote_cert_path := RemotePath}) ->
    #{docker_tls => folder_if(Tls, Path), remote_tls => folder_if(Remote, RemotePath)}.

folder_if(true, Path) -> unicode:characters_to_binary(Path);
folder_if(false, _) -> undefined.

%% ---------------------------------------------------------------------------------------------
%% Sentences
%% ---------------------------------------------------------------------------------------------

?DOC("Why there is no TLS session, as the second half of a sentence.").
-spec format(fault() | term()) -> unicode:chardata().
format({file, Path, Fault}) ->
    [Path, $\s, file(Fault)];
format(not_tls) ->
    "what listens there does not speak TLS: is it the daemon's plain port?";
format(closed) ->
    "it hung up during the TLS handshake: nothing that speaks TLS may be behind that port, or the "
    "daemon stops";
format(timeout) ->
    "it did not answer the TLS handshake in time";
format(no_common_version) ->
    "it speaks neither TLS 1.2 nor TLS 1.3";
format(unknown_ca) ->
    "its certificate is not signed by a CA in ca.pem";
format({wrong_name, []}) ->
    "its certificate has no name that one could ask for (subjectAltName)";
format({wrong_name, Names}) ->
    ["its certificate is not for that host, but for ", lists:join(", ", Names)];
format(expired) ->
    "its certificate has expired, or the clock here is wrong";
format(not_yet_valid) ->
    "its certificate is not valid yet, or the clock here is wrong";
format({bad_certificate, Text}) ->
    ["its certificate cannot be used: ", Text];
format(client_certificate_required) ->
    "it wants a client certificate, and was shown none: put cert.pem and key.pem beside ca.pem";
format({client_certificate_refused, Why}) ->
    ["it refuses the client certificate (cert.pem): ", refused(Why)];
format({alert, Name}) ->
    ["it ended the TLS handshake with the alert ", Name];
format({other, Text}) ->
    Text;
format(Other) ->
    io_lib:format("~tp", [Other]).

refused(unknown_ca) -> "it does not know the CA that signed it";
refused(expired) -> "that has expired, or is not valid yet";
refused(revoked) -> "that was revoked";
refused(forbidden) -> "that is not for this use";
refused(_) -> "it does not say why; an unknown CA, for one".

file(enoent) -> "is not there";
file(eacces) -> "may not be read by this user";
file(not_a_file) -> "is not a file";
file(too_large) -> "is too large for a certificate";
file(no_certificate) -> "holds no certificate in PEM, or a broken one";
file(no_key) -> "holds no private key in PEM that can be used without a password";
file(key_mismatch) -> "is not the key of the certificate in cert.pem";
file(Posix) -> ["cannot be read: ", io_lib:format("~tp", [Posix])].
