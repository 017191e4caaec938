%% Docker contexts, which say where the local daemon is when `docker_host' does not: a sentence for each way
%% in which one cannot be used. The native library reads them, when the daemon is first needed.
-module(epmd_docker_context).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([format/2]).

-export_type([fault/0, source/0]).

%% Why a context cannot be used (docker_discovery::ContextFault).
-type fault() ::
    bad_name
    | not_found
    | {unreadable, File :: binary(), inet:posix()}
    | {malformed, File :: binary()}
    | {endpoint, Text :: binary()}
    | unverified.
%% Why a daemon is looked for where it is (docker_discovery::Origin).
-type source() ::
    unknown
    | docker_host
    | {docker_context, Name :: binary()}
    | default
    | rootless
    | podman
    | node_name.

?DOC("Why the context of that name cannot be used, and what to do about it.").
-spec format(Name :: binary() | term(), fault() | term()) -> unicode:chardata().
format(Name, Fault) ->
    [io_lib:format("the Docker context ~ts cannot be used: ", [Name]), why(Fault)].

why(bad_name) ->
    "no context can have that name; see DOCKER_CONTEXT, or currentContext in config.json";
why(not_found) ->
    "there is none of that name in contexts/meta below ~/.docker (or DOCKER_CONFIG); `docker context ls' "
    "shows which there are, and DOCKER_HOST goes without";
why({unreadable, File, Posix}) ->
    io_lib:format("~ts cannot be read: ~tp", [File, Posix]);
why({malformed, File}) ->
    io_lib:format("~ts is not what Docker writes", [File]);
why({endpoint, Text}) ->
    Text;
why(unverified) ->
    "it asks not to verify the daemon's certificate (SkipTLSVerify), which is not offered here: give it "
    "the CA of that certificate";
why(Other) ->
    io_lib:format("~tp", [Other]).
