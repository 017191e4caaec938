%% The build, as users meet it: a project that has this library as a git dependency, a second
%% compile, a machine without cargo, and those who bring the library themselves.
-module(build_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

suite() -> [{timetrap, {minutes, 10}}].

all() -> [git_dependency, no_cargo, skipped, empty_and_other_target_folders].

init_per_suite(Config) ->
    Project = filename:join(?config(priv_dir, Config), "project"),
    Clone = filename:join(?config(priv_dir, Config), "epmd_docker.git"),
    clone(Clone),
    ok = filelib:ensure_dir(filename:join([Project, "src", "x"])),
    ok = file:write_file(filename:join(Project, "rebar.config"), io_lib:format(
        "{deps, [{epmd_docker, {git, ~p, {branch, \"test\"}}}]}.~n", ["file://" ++ Clone])),
    ok = file:write_file(filename:join([Project, "src", "app.app.src"]),
        "{application, app, [{vsn, \"1\"}, {applications, [kernel, stdlib, epmd_docker]}]}.\n"),
    [{project, Project}, {clone, Clone} | Config].

end_per_suite(_) -> ok.

%% The working tree as a repository, with what is not committed yet.
clone(Clone) ->
    Root = testbed:root(),
    {ok, _} = testbed:sh(["git", "init", "-q", "-b", "test", Clone]),
    {ok, _} = shell("cd " ++ Root ++ " && git ls-files -co --exclude-standard -z | "
        "tar -c --null --ignore-failed-read -T - | tar -x -C " ++ Clone),
    {ok, _} = shell("cd " ++ Clone ++ " && git add -A && "
        "git -c user.name=test -c user.email=test@localhost commit -q -m test").

shell(Command) -> testbed:sh(["sh", "-c", Command]).

%% rebar3 in a folder, with variables of the environment.
rebar3(Dir, Env, Args) ->
    shell("cd " ++ Dir ++ " && " ++ Env ++ " rebar3 " ++ Args).

%% Cargo's work is shared with this repository's own: only our two crates are built again.
target() -> "CARGO_TARGET_DIR=" ++ filename:join(testbed:root(), "target").

%% Folders of the PATH that hold no cargo.
path_without_cargo() ->
    Folders = string:lexemes(os:getenv("PATH"), ":"),
    lists:join(":", [F || F <- Folders, not filelib:is_regular(filename:join(F, "cargo"))]).

dependency(Config, File) ->
    filename:join([?config(project, Config), "_build", "default", "lib", "epmd_docker", File]).

%% ---------------------------------------------------------------------------------------------

git_dependency(Config) ->
    Project = ?config(project, Config),
    {ok, _} = rebar3(Project, target(), "compile"),
    Library = dependency(Config, "priv/epmd_docker_nif.so"),
    ?assert(filelib:is_regular(Library)),
    ?assertEqual([], filelib:wildcard(dependency(Config, "priv/*.tmp"))),
    %% It works from there.
    Peer = testbed:peer(#{path => ["-pa", dependency(Config, "ebin")],
        args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-sname", "dependency",
            "-epmd_docker", "dist_port", "0", "epmd", "false"]}),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])),
    ?assertEqual(dependency(Config, "priv/epmd_docker_nif"), peer:call(Peer, epmd_docker_nif, path, [])),
    testbed:stop(Peer),
    %% A second compile does no Rust work: it does not even look for cargo.
    {ok, Info} = file:read_file_info(Library),
    {ok, Output} = rebar3(Project, "PATH=" ++ path_without_cargo(), "compile"),
    ?assertEqual({nomatch, Output}, {string:find(Output, "building the native library"), Output}),
    ?assertEqual({ok, Info}, file:read_file_info(Library)).

no_cargo(Config) ->
    Clone = ?config(clone, Config),
    {error, {_, Output}} = rebar3(Clone, "PATH=" ++ path_without_cargo(), "compile"),
    Lines = [Line || Line <- string:lexemes(Output, "\n"), string:find(Line, "epmd_docker:") =/= nomatch],
    ?assertMatch({[_], _}, {Lines, Output}),
    ?assertNotEqual(nomatch, string:find(Lines, "cargo is not installed")).

skipped(Config) ->
    Clone = ?config(clone, Config),
    {ok, Output} = rebar3(Clone, "EPMD_DOCKER_SKIP_NATIVE=1 PATH=" ++ path_without_cargo(), "compile"),
    ?assertNotEqual(nomatch, string:find(Output, "nothing is built")),
    Library = filename:join([Clone, "priv", "epmd_docker_nif.so"]),
    ?assertNot(filelib:is_regular(Library)),
    ok = file:write_file(Library, "brought along"),
    {ok, Quiet} = rebar3(Clone, "EPMD_DOCKER_SKIP_NATIVE=1", "compile"),
    ?assertEqual(nomatch, string:find(Quiet, "nothing is built")),
    ?assertEqual({ok, <<"brought along">>}, file:read_file(Library)),
    ok = file:delete(Library).

%% A set CARGO_TARGET_DIR moves what cargo builds; an empty one breaks cargo, so it is unset.
empty_and_other_target_folders(Config) ->
    Clone = ?config(clone, Config),
    Script = filename:join([Clone, "scripts", "build_native.sh"]),
    {ok, _} = shell("cd / && " ++ target() ++ " sh " ++ Script),
    ?assert(filelib:is_regular(filename:join([Clone, "priv", "epmd_docker_nif.so"]))),
    %% Up to date: found without cargo, from any folder.
    {ok, ""} = shell("cd / && PATH=" ++ path_without_cargo() ++ " sh " ++ Script),
    %% A stand-in for cargo tells what it was given.
    Bin = filename:join(?config(priv_dir, Config), "bin"),
    Cargo = filename:join(Bin, "cargo"),
    ok = filelib:ensure_dir(Cargo),
    ok = file:write_file(Cargo, "#!/bin/sh\necho \"target: ${CARGO_TARGET_DIR-unset} $*\" >&2\nexit 1\n"),
    ok = file:change_mode(Cargo, 8#755),
    ok = file:change_time(filename:join(Clone, "Cargo.lock"), {{2038, 1, 1}, {0, 0, 0}}),
    {error, {1, Output}} = shell("CARGO_TARGET_DIR= PATH=" ++ Bin ++ ":$PATH sh " ++ Script),
    ?assertMatch({[_ | _], _}, {string:find(Output, "target: unset build --locked --release"), Output}).
