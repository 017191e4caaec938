%% Reads every setting in one place and gives one validated map.
%%
%% OS environment wins over the application environment (sys.config, or `-epmd_docker key value'),
%% which wins over the kernel variables and flags of older set-ups, which win over the default.
%%
%% This runs while kernel starts: no io, no file, no inet:getaddr here.
-module(epmd_docker_options).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([current/0, load/0, native/1, format_error/1, format_source/1]).

-export_type([options/0, bad_setting/0, source/0]).

-type options() :: #{
    %% 0 is any port.
    dist_port := inet:port_number(),
    %% The port on which other nodes are expected, where it is one for all of them.
    remote_port := undefined | inet:port_number(),
    %% Distribution port inside a container for ContainerId@HostAddr when nothing says another.
    on_host_port := inet:port_number(),
    docker_host := string(),
    docker_tls := boolean(),
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
    sources := #{atom() => source()}
}.
-type source() ::
    {os, string()} | {application, atom()} | {kernel, atom()} | {argument, atom()} | default.
-type bad_setting() ::
    {bad_setting, Key :: atom(), source(), Value :: term(), Why :: iodata()}.

-define(CACHE, {?MODULE, options}).
%% What Erlang-In-Docker used, and so its users' `docker run -p 12345'.
-define(EID_PORT, 12345).

?DOC("The settings in force; reads them first if nobody has yet.").
-spec current() -> {ok, options()} | {error, bad_setting()}.
current() ->
    case persistent_term:get(?CACHE, undefined) of
        undefined -> load();
        Options -> {ok, Options}
    end.

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
    #{dist_port := DistPort, docker_host := DockerHost} = Options,
    Native = maps:with(
        [docker_daemon_port, allowed_hosts, address, network, remote_port, on_host_port,
            api_version, watch, refresh_interval],
        Options
    ),
    Native#{
        docker_host => unicode:characters_to_binary(DockerHost),
        dist_port => case DistPort of 0 -> undefined; _ -> DistPort end
    }.

?DOC("One line for a setting that cannot be used: which, from where, its value, why.").
-spec format_error(bad_setting()) -> string().
format_error({bad_setting, Key, Source, Value, Why}) ->
    lists:flatten(
        io_lib:format("epmd_docker: bad setting ~ts (~ts) = ~ts: ~ts", [
            Key, format_source(Source), format_value(Value), Why
        ])
    ).

?DOC("Where a setting came from, for people.").
-spec format_source(source()) -> iodata().
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
            fun port_or_any/1, undefined},
        {remote_port, ["EPMD_DOCKER_REMOTE_PORT", "EPMDLESS_REMSH_PORT"], [], fun port/1, undefined},
        {docker_host, ["DOCKER_HOST"], [], fun docker_host/1, "unix:///var/run/docker.sock"},
        {docker_tls, ["DOCKER_TLS_VERIFY"], [], fun tls/1, false},
        {docker_daemon_port, ["EPMD_DOCKER_DAEMON_PORT"], [{kernel, docker_daemon_port}],
            fun port/1, 4243},
        {allowed_hosts, ["EPMD_DOCKER_ALLOWED_HOSTS"], [], fun words/1, undefined},
        {static_nodes, ["EPMD_DOCKER_NODES"], [], fun table_nodes/1, []},
        {address, ["EPMD_DOCKER_ADDRESS"], [], one_of([auto, container, published]), auto},
        {network, ["EPMD_DOCKER_NETWORK"], [], fun text/1, undefined},
        {api_version, ["DOCKER_API_VERSION"], [], fun text/1, undefined},
        {epmd, ["EPMD_DOCKER_EPMD"], [], one_of([auto, true, false]), auto},
        {watch, ["EPMD_DOCKER_WATCH"], [], one_of([true, false]), true},
        {refresh_interval, ["EPMD_DOCKER_REFRESH_MS"], [], milliseconds(1000, 86_400_000), 60_000},
        {timeout, ["EPMD_DOCKER_TIMEOUT_MS"], [], milliseconds(1, setup_time() - 1), 4000}
    ].

%% Kernel gives a connection net_setuptime seconds for its whole set-up, and at most 120.
setup_time() ->
    case application:get_env(kernel, net_setuptime) of
        {ok, Seconds} when is_number(Seconds), Seconds > 0 -> round(min(Seconds, 120) * 1000);
        _ -> 7000
    end.

read({Key, Os, Older, Parser, Default}, #{sources := Sources} = Options) ->
    {Value, Source} = find(Key, Os, Older, Parser, Default),
    Options#{Key => Value, sources := Sources#{Key => Source}}.

find(Key, Os, Older, Parser, Default) ->
    Places = [{os, Name} || Name <- Os] ++ [{application, Key}] ++ Older,
    case first(Places) of
        {Source, Raw} -> {parse(Key, Source, Raw, Parser), Source};
        none -> {Default, default}
    end.

first([]) ->
    none;
first([Place | Places]) ->
    case raw(Place) of
        {ok, Raw} -> {Place, Raw};
        undefined -> first(Places)
    end.

%% An empty variable is one that is not set, as `docker run -e NAME=' and Compose files leave it.
raw({os, Name}) ->
    case os:getenv(Name) of
        false -> undefined;
        "" -> undefined;
        Value -> {ok, Value}
    end;
raw({application, Key}) ->
    application:get_env(epmd_docker, Key);
raw({kernel, Key}) ->
    application:get_env(kernel, Key);
raw({argument, Flag}) ->
    case init:get_argument(Flag) of
        {ok, [[Value | _] | _]} -> {ok, Value};
        _ -> undefined
    end.

parse(Key, Source, Raw, Parser) ->
    try Parser(plain(Raw)) of
        {ok, Value} -> Value;
        {expected, Expected} -> throw({bad_setting, Key, Source, Raw, ["must be ", Expected]})
    catch
        error:_ -> throw({bad_setting, Key, Source, Raw, "must be of another type"})
    end.

%% Settings come as text from the environment and as terms from sys.config.
plain(Raw) when is_binary(Raw) -> unicode:characters_to_list(Raw);
plain(Raw) -> Raw.

%% ---------------------------------------------------------------------------------------------
%% Parsers: {ok, Value} | {expected, What}
%% ---------------------------------------------------------------------------------------------

port(Raw) -> integer(Raw, 1, 65535, "a port from 1 to 65535").

port_or_any(Raw) -> integer(Raw, 0, 65535, "a port from 1 to 65535, or 0 for any").

milliseconds(Min, Max) ->
    %% Not io_lib:format/2: that module takes 1 ms to load, in each boot.
    Expected = [
        "a number of milliseconds from ", integer_to_list(Min), " to ", integer_to_list(Max)
    ],
    fun(Raw) -> integer(Raw, Min, Max, Expected) end.

integer(Raw, Min, Max, Expected) when is_list(Raw) ->
    %% Not string:to_integer/1: `string' brings unicode_util, and the two take 12 ms to load, a tenth
    %% of a boot (OTP 25; stock Erlang needs neither to start).
    try list_to_integer(Raw) of
        Number -> integer(Number, Min, Max, Expected)
    catch
        error:badarg -> {expected, Expected}
    end;
integer(Raw, Min, Max, _) when is_integer(Raw), Raw >= Min, Raw =< Max ->
    {ok, Raw};
integer(_, _, _, Expected) ->
    {expected, Expected}.

one_of(Allowed) ->
    Names = [atom_to_list(Value) || Value <- Allowed],
    Expected = ["one of ", lists:join(", ", Names)],
    fun
        (Raw) when is_atom(Raw) -> member(atom_to_list(Raw), Allowed, Expected);
        (Raw) -> member(Raw, Allowed, Expected)
    end.

%% Only atoms that are in the list are ever compared: none is made from the text.
member(Text, Allowed, Expected) ->
    case [Value || Value <- Allowed, atom_to_list(Value) =:= Text] of
        [Value] -> {ok, Value};
        [] -> {expected, Expected}
    end.

text(Raw) when is_atom(Raw) -> text(atom_to_list(Raw));
text([_ | _] = Raw) -> {ok, characters(Raw)};
text(_) -> {expected, "a name"}.

docker_host([_ | _] = Raw) ->
    case io_lib:printable_unicode_list(Raw) of
        true -> {ok, Raw};
        false -> docker_host(invalid)
    end;
docker_host(_) ->
    {expected, "unix:///path or tcp://host:port"}.

%% As docker's own client reads it: any value that is not empty switches it on.
tls(false) -> {ok, false};
tls(_) -> {expected, "off in this version: daemons that speak TLS are not supported yet"}.

words(Raw) ->
    case is_list(Raw) andalso io_lib:printable_unicode_list(Raw) of
        true -> {ok, [characters(Word) || Word <- string:lexemes(Raw, ", \t\n")]};
        false -> {ok, [characters(Word) || Word <- Raw]}
    end.

%% What is no text fails, and is a bad setting. Not by matching <<_/binary>>: OTP 29 does not load
%% what OTP 25 makes of that.
characters(Text) when is_atom(Text) ->
    atom_to_binary(Text);
characters(Text) ->
    case unicode:characters_to_binary(Text) of
        Binary when is_binary(Binary) -> Binary
    end.

table_nodes(Raw) ->
    Nodes =
        case io_lib:printable_unicode_list(Raw) of
            true -> string:lexemes(Raw, ", \t\n");
            false -> Raw
        end,
    Parsed = [table_node(Node) || Node <- Nodes],
    case lists:member(error, Parsed) of
        true -> {expected, "a list of name@host:port"};
        false -> {ok, Parsed}
    end.

%% "name@host:port", {Node, Port} or {Node, Host, Port}. The last colon counts: a host may be an
%% IPv6 literal, also in brackets, which no node name has (OTP does not connect to "a@[::1]").
table_node({Node, Port}) ->
    case string:split(characters(Node), "@") of
        [_, Host] -> table_node({Node, Host, Port});
        _ -> error
    end;
table_node({Node, Host, Port}) ->
    case port(Port) of
        {ok, Number} -> {characters(Node), characters(Host), Number};
        {expected, _} -> error
    end;
table_node(Text) ->
    case string:split(characters(Text), ":", trailing) of
        [Node, Port] -> table_node({without_brackets(Node), unicode:characters_to_list(Port)});
        _ -> error
    end.

without_brackets(Node) ->
    case {string:split(Node, "@["), string:split(Node, "]", trailing)} of
        {[Name, _], [_, <<>>]} ->
            Open = byte_size(Name) + 2,
            <<Name/binary, "@", (binary:part(Node, Open, byte_size(Node) - Open - 1))/binary>>;
        _ ->
            Node
    end.

%% ---------------------------------------------------------------------------------------------
%% Settings that follow from each other
%% ---------------------------------------------------------------------------------------------

complete(#{dist_port := Set, remote_port := Remote} = Options) ->
    Eid = eid_protocol(),
    Options#{
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
