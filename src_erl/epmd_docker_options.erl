%% Reads every setting in one place and gives one validated map.
%%
%% OS environment wins over the application environment (sys.config, or `-epmd_docker key value'),
%% which wins over the kernel variables and flags of older set-ups, which win over the default.
%%
%% This runs while kernel starts: no io, no file, no inet:getaddr here.
-module(epmd_docker_options).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([current/0, in_force/0, load/0, native/1, format_error/1, format_source/1]).

-export_type([options/0, bad_setting/0]).

-type options() :: #{
    %% 0 is any port.
    dist_port := inet:port_number(),
    %% The port on which other nodes are expected, where it is one for all of them.
    remote_port := undefined | inet:port_number(),
    %% Distribution port inside a container for ContainerId@HostAddr when nothing says another.
    on_host_port := inet:port_number(),
    docker_host := string(),
    %% Where the local daemon is looked for if docker_host is only the default.
    docker_context := undefined | binary(),
    docker_config := undefined | string(),
    runtime_dir := undefined | string(),
    docker_tls := boolean(),
    docker_cert_path := undefined | string(),
    remote_tls := boolean(),
    remote_cert_path := undefined | string(),
    docker_daemon_port := inet:port_number(),
    allowed_hosts := undefined | [binary()],
    static_nodes := [{Node :: binary(), Host :: binary(), inet:port_number()}],
    address := auto | container | published,
    network := undefined | binary(),
    api_version := undefined | binary(),
    %% Whether this node registers with epmd: auto is yes if it has to, and may fail.
    epmd := true | auto | false,
    watch := boolean(),
    refresh_interval := pos_integer(),
    timeout := pos_integer(),
    %% Where each setting came from: os | application | kernel | argument | default.
    sources := #{atom() => epmd_docker_setting:source()}
}.
-type bad_setting() ::
    {bad_setting, Key :: atom(), epmd_docker_setting:source(), Value :: term(), Why :: iodata()}.

-define(CACHE, {?MODULE, options}).
-define(PARSE, epmd_docker_setting).
%% What Erlang-In-Docker used, and so its users' `docker run -p 12345'.
-define(EID_PORT, 12345).

?DOC("The settings in force; reads them first if nobody has yet.").
-spec current() -> {ok, options()} | {error, bad_setting()}.
current() ->
    case in_force() of
        undefined -> load();
        Options -> {ok, Options}
    end.

?DOC("The same, without reading them.").
-spec in_force() -> options() | undefined.
in_force() ->
    persistent_term:get(?CACHE, undefined).

?DOC("Reads, validates and remembers the settings.").
-spec load() -> {ok, options()} | {error, bad_setting()}.
load() ->
    ok = load_application(),
    try
        Options = complete(lists:foldl(fun read/2, #{sources => #{}}, settings())),
        persistent_term:put(?CACHE, Options),
        {ok, Options}
    catch
        throw:{bad_setting, _, _, _, _} = Bad -> {error, Bad}
    end.

%% Until an application is loaded its configuration is not in its environment. A release has loaded
%% it by now; where nothing configures us, reading the .app file would only cost 3 ms of the boot
%% (erl_scan, erl_parse and epp, measured on OTP 25).
load_application() ->
    case lists:any(fun is_given/1, [config, configfd, epmd_docker]) of
        true ->
            _ = application:load(epmd_docker),
            ok;
        false ->
            ok
    end.

is_given(Flag) -> init:get_argument(Flag) =/= error.

?DOC("The part of the settings that the native library needs, in its types.").
-spec native(options()) -> map().
native(Options) ->
    #{dist_port := DistPort, docker_config := Config, runtime_dir := RuntimeDir} = Options,
    Native = maps:with(
        [docker_context, docker_daemon_port, allowed_hosts, address, network, remote_port, on_host_port,
            api_version, watch, refresh_interval],
        Options
    ),
    (maps:merge(Native, epmd_docker_tls:native(Options)))#{
        docker_host => docker_host(Options),
        docker_config => text(Config),
        runtime_dir => text(RuntimeDir),
        dist_port => case DistPort of 0 -> undefined; _ -> DistPort end
    }.

%% The default is for the library to look for: it reads files, which may not be done here.
docker_host(#{sources := #{docker_host := default}}) -> undefined;
docker_host(#{docker_host := DockerHost}) -> text(DockerHost).

%% HOME, which nobody has checked, may be no text.
text(Text) when is_list(Text) ->
    case unicode:characters_to_binary(Text) of
        Binary when is_binary(Binary) -> Binary;
        _ -> undefined
    end;
text(undefined) ->
    undefined.

?DOC("One line for a setting that cannot be used: which, from where, its value, why.").
-spec format_error(bad_setting()) -> string().
format_error({bad_setting, Key, Source, Value, Why}) ->
    lists:flatten(
        io_lib:format("epmd_docker: bad setting ~ts (~ts) = ~ts: ~ts", [
            Key, format_source(Source), format_value(Value), Why
        ])
    ).

?DOC("Where a setting came from, for people.").
-spec format_source(epmd_docker_setting:source()) -> iodata().
format_source({os, Name}) -> ["environment variable ", Name];
format_source({application, Key}) -> io_lib:format("application environment, epmd_docker ~ts", [Key]);
format_source({kernel, Key}) -> io_lib:format("kernel parameter ~ts", [Key]);
format_source({argument, Key}) -> io_lib:format("flag -~ts", [Key]);
format_source(default) -> "default".

%% A setting's value may be long, or hold what does not print.
format_value(Value) when is_binary(Value) ->
    format_value(unicode:characters_to_list(Value));
format_value([Word | _] = Words) when is_binary(Word) ->
    format_value(unicode:characters_to_list(lists:join(" ", Words)));
format_value(Value) ->
    case io_lib:printable_unicode_list(Value) of
        true -> io_lib:format("~ts", [string:slice(Value, 0, 200)]);
        false -> io_lib:format("~0tP", [Value, 30])
    end.

%% ---------------------------------------------------------------------------------------------
%% The table of settings: key, OS environment, older names, parser, default
%% ---------------------------------------------------------------------------------------------

settings() ->
    [
        {dist_port, ["ERL_DIST_PORT"],
            [{argument, erl_epmd_port}, {kernel, erl_epmd_node_listen_port}, {kernel, erlang_port}],
            fun ?PARSE:port_or_any/1, undefined},
        {remote_port, ["EPMD_DOCKER_REMOTE_PORT", "EPMDLESS_REMSH_PORT"], [],
            fun ?PARSE:port/1, undefined},
        {docker_host, ["DOCKER_HOST"], [], fun ?PARSE:docker_host/1, "unix:///var/run/docker.sock"},
        {docker_context, ["DOCKER_CONTEXT"], [], fun ?PARSE:text/1, undefined},
        {docker_config, ["DOCKER_CONFIG"], [], fun epmd_docker_tls:folder/1, docker_config()},
        {runtime_dir, ["XDG_RUNTIME_DIR"], [], fun epmd_docker_tls:folder/1, undefined},
        %% Docker's own DOCKER_TLS is TLS that trusts anybody. There is no such thing here.
        {docker_tls, ["DOCKER_TLS_VERIFY", "DOCKER_TLS"], [], fun epmd_docker_tls:switch/1, false},
        {docker_cert_path, ["DOCKER_CERT_PATH"], [], fun epmd_docker_tls:folder/1, undefined},
        {remote_tls, ["EPMD_DOCKER_REMOTE_TLS"], [], ?PARSE:one_of([true, false]), undefined},
        {remote_cert_path, ["EPMD_DOCKER_REMOTE_CERT_PATH"], [], fun epmd_docker_tls:folder/1, undefined},
        {docker_daemon_port, ["EPMD_DOCKER_DAEMON_PORT"], [{kernel, docker_daemon_port}],
            fun ?PARSE:port/1, undefined},
        {allowed_hosts, ["EPMD_DOCKER_ALLOWED_HOSTS"], [], fun ?PARSE:words/1, undefined},
        {static_nodes, ["EPMD_DOCKER_NODES"], [], fun ?PARSE:table_nodes/1, []},
        {address, ["EPMD_DOCKER_ADDRESS"], [], ?PARSE:one_of([auto, container, published]), auto},
        {network, ["EPMD_DOCKER_NETWORK"], [], fun ?PARSE:text/1, undefined},
        {api_version, ["DOCKER_API_VERSION"], [], fun ?PARSE:text/1, undefined},
        {epmd, ["EPMD_DOCKER_EPMD"], [], ?PARSE:one_of([auto, true, false]), auto},
        {watch, ["EPMD_DOCKER_WATCH"], [], ?PARSE:one_of([true, false]), true},
        {refresh_interval, ["EPMD_DOCKER_REFRESH_MS"], [],
            ?PARSE:milliseconds(1000, 86_400_000), 60_000},
        {timeout, ["EPMD_DOCKER_TIMEOUT_MS"], [], ?PARSE:milliseconds(1, setup_time() - 1), 4000}
    ].

%% Where docker's own client keeps its settings. Without a home there are none.
docker_config() ->
    case os:getenv("HOME", "") of
        "" -> undefined;
        Home -> Home ++ "/.docker"
    end.

%% Kernel gives a connection net_setuptime seconds for its whole set-up, and at most 120.
setup_time() ->
    case application:get_env(kernel, net_setuptime) of
        {ok, Seconds} when is_number(Seconds), Seconds > 0 -> round(min(Seconds, 120) * 1000);
        _ -> 7000
    end.

read({Key, Os, Older, Parser, Default}, #{sources := Sources} = Options) ->
    Places = [{os, Name} || Name <- Os] ++ [{application, Key}] ++ Older,
    {Value, Source} = epmd_docker_setting:find(Key, Places, Parser, Default),
    Options#{Key => Value, sources := Sources#{Key => Source}}.

%% ---------------------------------------------------------------------------------------------
%% Settings that follow from each other
%% ---------------------------------------------------------------------------------------------

complete(#{dist_port := Set, remote_port := Remote} = Options) ->
    Eid = eid_protocol(),
    (epmd_docker_tls:complete(Options))#{
        dist_port := dist_port(Set, Eid),
        remote_port := remote_port(Remote, Set),
        on_host_port => on_host_port(Set),
        epmd := epmd(maps:get(epmd, Options), dist_port(Set, Eid))
    }.

%% A port that is only our default gives way to the application's own range.
dist_port(undefined, false) ->
    0;
dist_port(undefined, true) ->
    case application:get_env(kernel, inet_dist_listen_min) of
        {ok, Min} when is_integer(Min) -> 0;
        _ -> ?EID_PORT
    end;
dist_port(Port, _) ->
    Port.

remote_port(undefined, Set) when is_integer(Set), Set > 0 -> Set;
remote_port(Remote, _) -> Remote.

on_host_port(Set) when is_integer(Set), Set > 0 -> Set;
on_host_port(_) -> ?EID_PORT.

epmd(auto, 0) -> auto;
epmd(auto, _) -> false;
epmd(Epmd, _) -> Epmd.

eid_protocol() ->
    Protocols =
        case init:get_argument(proto_dist) of
            {ok, [Given | _]} -> Given;
            _ -> []
        end,
    lists:any(fun(Name) -> lists:member(Name, Protocols) end, [
        "eid_tcp", "eid_tls", "eid6_tcp", "eid6_tls"
    ]).
