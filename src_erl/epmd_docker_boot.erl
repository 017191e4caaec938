%% What OTP asks for while the distribution starts: settings, the port to listen on, registration.
%%
%% Runs before `user', file_server and the users of inet_db are there: no io, no file, no crypto,
%% no inet:getaddr (not even of "127.0.0.1": it hangs the boot). With net_kernel:start/2 the same
%% functions run in a node that is up, which they must never take down.
-module(epmd_docker_boot).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([start_link/0, configure/0, native_settings/0, library_loaded/0, listen_port/2, register/3, family/0]).

?DOC("Reads the settings and loads the library early; `ignore`, or erl_epmd's own process.").
-spec start_link() -> {ok, pid()} | ignore | {error, term()}.
start_link() ->
    try configure() of
        {ok, #{epmd := false}} -> ignore;
        {ok, _} -> erl_epmd:start_link();
        {error, Bad} -> refuse(Bad)
    catch
        Class:Reason:Stack ->
            ?LOG_ERROR(#{what => crash, where => start_link, reason => {Class, Reason, Stack}}, ?LOG_META),
            ignore
    end.

?DOC("Reads the settings and puts them in force.").
-spec configure() -> {ok, epmd_docker_options:options()} | {error, epmd_docker_options:bad_setting()}.
configure() ->
    case epmd_docker_options:load() of
        {ok, #{sources := Sources} = Options} ->
            case epmd_docker_nif:configure(epmd_docker_options:native(Options)) of
                ok ->
                    ok = epmd_docker_notes:start(),
                    table(Options);
                {error, {nif_not_loaded, _}} ->
                    {ok, Options};
                {error, {bad_setting, Key, Detail}} ->
                    {error, {bad_setting, Key, maps:get(Key, Sources, default),
                        maps:get(Key, Options, undefined), Detail}}
            end;
        {error, _} = Error ->
            Error
    end.

?DOC("For a library that is about to be loaded; `undefined` before any settings were read.").
-spec native_settings() -> map() | undefined.
native_settings() ->
    case epmd_docker_options:in_force() of
        undefined -> undefined;
        Options -> epmd_docker_options:native(Options)
    end.

?DOC("""
Tells a library that was just loaded the nodes of the settings. One that was loaded before has its
table still, as the user has changed it.
""").
-spec library_loaded() -> ok.
library_loaded() ->
    case {epmd_docker_options:in_force(), epmd_docker_nif:table_list()} of
        {#{} = Options, []} -> _ = table(Options), ok;
        _ -> ok
    end.

%% Only where there are any: a later start of the distribution keeps what add_node/2,3 said.
table(#{static_nodes := []} = Options) ->
    {ok, Options};
table(#{static_nodes := Nodes, sources := #{static_nodes := Source}} = Options) ->
    Failed = [
        {Node, epmd_docker:format_error(Reason)}
     || {Node, Host, Port} <- Nodes,
        {error, Reason} <- [epmd_docker_nif:table_add(Node, Host, Port)]
    ],
    case Failed of
        [] -> {ok, Options};
        [{Node, Why} | _] -> {error, {bad_setting, static_nodes, Source, Node, Why}}
    end.

%% The node that is booting stops with one line and status 1: no crash dump, no stack trace.
refuse(Bad) ->
    Line = epmd_docker_options:format_error(Bad),
    case init:get_status() of
        {starting, _} ->
            stop_boot(Line);
        _ ->
            ?LOG_ERROR(#{what => bad_setting, line => Line}, ?LOG_META),
            {error, Bad}
    end.

%% There is no `standard_error' process yet. erlang:halt/1 flushes ports.
-spec stop_boot(string()) -> no_return().
stop_boot(Line) ->
    Stderr = erlang:open_port({fd, 2, 2}, [out, binary]),
    true = erlang:port_command(Stderr, unicode:characters_to_binary([Line, $\n])),
    erlang:halt(1).

?DOC("The port to listen on: the fixed one if it is free here, else 0 for any.").
-spec listen_port(term(), term()) -> {ok, inet:port_number()}.
listen_port(_Name, _Host) ->
    case {epmd_docker_options:current(), epmd_docker_self:name_and_port()} of
        {{ok, #{dist_port := 0}}, _} -> {ok, 0};
        %% Asked by an application while we listen there ourselves.
        {{ok, #{dist_port := Port}}, {_, Port}} when node() =/= nonode@nohost -> {ok, Port};
        {{ok, #{dist_port := Port}}, _} -> free_or_any(Port);
        {{error, _}, _} -> {ok, 0}
    end.

%% Command line tools and remote shells start in the same container with the same flags. They
%% need no port that others know, so a taken port must not stop them.
free_or_any(Port) ->
    Driver = driver(family()),
    case Driver:listen(Port, [{reuseaddr, true} | interface()]) of
        {ok, Socket} ->
            _ = Driver:close(Socket),
            {ok, Port};
        {error, eaddrinuse} ->
            port_taken(Port),
            {ok, 0};
        {error, _} ->
            %% OTP will meet the same error, and reports it in its own words.
            {ok, Port}
    end.

driver(inet6) -> inet6_tcp;
driver(inet) -> inet_tcp.

interface() ->
    case application:get_env(kernel, inet_dist_use_interface) of
        {ok, Ip} -> [{ip, Ip}];
        undefined -> []
    end.

port_taken(Port) ->
    Report = #{what => port_taken, port => Port},
    case is_named() andalso not is_helper() of
        true -> ?LOG_WARNING(Report, ?LOG_META);
        false -> ?LOG_INFO(Report, ?LOG_META)
    end.

is_named() ->
    init:get_argument(name) =/= error orelse init:get_argument(sname) =/= error.

%% A remote shell, or an escript (its boot file is always no_dot_erlang): relx's nodetool gets
%% -name like a node, and what it prints is taken for the answer.
is_helper() ->
    init:get_argument(remsh) =/= error orelse init:get_argument(boot) =:= {ok, [["no_dot_erlang"]]}.

?DOC("""
Remembers our name and port. With the setting `epmd` on it is registered as in stock Erlang; with
`auto` a missing epmd is no error, and the creation that epmd would give is ours to choose.
""").
-spec register(atom() | string(), inet:port_number(), atom()) ->
    {ok, integer()} | {error, term()}.
register(Name, Port, Family) ->
    case {is_name(Name), is_integer(Port) andalso Port > 0 andalso Port < 65536} of
        {true, true} -> register_checked(Name, Port, family(Family));
        {true, false} -> {error, {bad_port, Port}};
        {false, _} -> {error, {bad_node_name, unicode:characters_to_binary(io_lib:format("~0tP", [Name, 20]))}}
    end.

%% The process erl_epmd crashes on any of them if it is of another type, and the node ends with it.
is_name(Name) when is_atom(Name) -> true;
is_name(Name) -> io_lib:latin1_char_list(Name).

family(Family) when Family =:= inet; Family =:= inet_tcp; Family =:= inet6; Family =:= inet6_tcp -> Family;
family(_) -> family().

register_checked(Name, Port, Family) ->
    remember(name(Name), Port),
    case epmd_docker_options:current() of
        {ok, #{epmd := false}} -> {ok, creation()};
        {ok, #{epmd := Epmd}} -> registered(with_epmd(Name, Port, Family), Epmd);
        {error, _} -> {ok, creation()}
    end.

%% The first listener counts: of several protocols in -proto_dist those after it listen elsewhere, if
%% OTP lets them listen at all.
remember(Name, Port) ->
    case node() =:= nonode@nohost orelse epmd_docker_self:name_and_port() =:= undefined of
        true -> epmd_docker_self:put(Name, Port);
        false -> ok
    end.

%% -1 makes OTP choose one itself. It asks crypto, and to load that takes 25 ms of the boot, a
%% quarter of it (OTP 25).
creation() ->
    case epmd_docker_nif:creation() of
        Creation when is_integer(Creation) -> Creation;
        {error, _} -> -1
    end.

name(Name) when is_atom(Name) -> atom_to_list(Name);
name(Name) -> Name.

with_epmd(Name, Port, Family) ->
    try
        erl_epmd:register_node(Name, Port, Family)
    catch
        exit:_ -> {error, no_epmd_process}
    end.

registered({ok, Creation}, _Epmd) ->
    {ok, Creation};
registered({error, duplicate_name} = Error, _Epmd) ->
    Error;
registered({error, already_registered} = Error, _Epmd) ->
    Error;
registered({error, Reason}, auto) ->
    ?LOG_INFO(#{what => epmd_unreachable, reason => Reason}, ?LOG_META),
    {ok, creation()};
registered({error, _} = Error, true) ->
    Error.

?DOC("The address family of this node's first distribution protocol.").
-spec family() -> inet | inet6.
family() ->
    case init:get_argument(proto_dist) of
        {ok, [["inet6_" ++ _ | _] | _]} -> inet6;
        {ok, [["eid6_" ++ _ | _] | _]} -> inet6;
        _ -> inet
    end.
