%% `make install' into an Erlang, and examples/erlang_image: `erl -epmd_module epmd_docker' with no
%% -pa, no ERL_LIBS and no release.
-module(install_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-define(IMAGE, "epmd_docker_test:erlang_image").
-define(DIST, ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "secret"]).

suite() -> [{timetrap, {minutes, 2}}].

all() -> [{group, into_an_erlang}, {group, into_an_image}].

groups() ->
    [
        {into_an_erlang, [], [
            our_module_is_in_use,
            ebin_and_priv_and_nothing_else,
            places,
            no_erlang_is_told,
            again_under_a_running_node
        ]},
        {into_an_image, [], [
            our_module_is_in_use_in_the_image,
            from_the_host,
            no_rust_in_the_image
        ]}
    ].

init_per_group(into_an_erlang, Config) ->
    Root = erlang_of_links(filename:join(?config(priv_dir, Config), "otp")),
    {ok, _} = install(["ERLANG_LIB=" ++ filename:join(Root, "lib")]),
    [{otp, Root} | Config];
init_per_group(into_an_image, Config) ->
    case testbed:engine() of
        ok ->
            base_images:build("examples/erlang_image/Dockerfile", ?IMAGE, "erlang"),
            Config;
        Skip ->
            Skip
    end.

end_per_group(into_an_erlang, _) ->
    ok;
end_per_group(into_an_image, _) ->
    base_images:remove(?IMAGE).

init_per_testcase(_, Config) ->
    Config.

end_per_testcase(_, _) ->
    base_images:remove_containers(?IMAGE).

%% `make install VARIABLES', without the variables of whoever runs the tests.
install(Variables) ->
    testbed:sh(["env", "-u", "DESTDIR", "-u", "PREFIX", "-u", "ERLANG_LIB"] ++
        ["make", "-s", "-C", testbed:root(), "install" | Variables]).

%% This machine's Erlang with a lib folder of its own.
erlang_of_links(Root) ->
    Real = code:root_dir(),
    ok = filelib:ensure_dir(filename:join([Root, "lib", "x"])),
    [
        ok = file:make_symlink(File, filename:join([Root, Folder, filename:basename(File)]))
     || {Pattern, Folder} <- [{"{bin,releases,erts-*}", ""}, {"lib/*", "lib"}],
        File <- filelib:wildcard(filename:join(Real, Pattern)),
        string:prefix(filename:basename(File), "epmd_docker") =:= nomatch
    ],
    Root.

%% What the script `erl' does, with that root (Debian's has its own folder fixed in it), and without
%% a word about where epmd_docker is.
erl(Root, Args) ->
    [Bin] = filelib:wildcard(filename:join(Root, "erts-*/bin")),
    testbed:sh(["env", "-u", "ERL_LIBS", "-u", "ERL_FLAGS", "-u", "ERL_DIST_PORT", "ROOTDIR=" ++ Root,
        "BINDIR=" ++ Bin, "EMU=beam", "PROGNAME=erl", filename:join(Bin, "erlexec") | ?DIST ++ Args]).

%% Prints {module in use, where it comes from, state of the library}.
show() ->
    "io:format(\"~0p\", [{net_kernel:epmd_module(), code:lib_dir(epmd_docker), "
        "maps:get(library, epmd_docker:info())}]), halt(0).".

vsn() ->
    _ = application:load(epmd_docker),
    {ok, Vsn} = application:get_key(epmd_docker, vsn),
    Vsn.

files(Dir) ->
    lists:sort([File || File <- filelib:wildcard("**", Dir), filelib:is_regular(filename:join(Dir, File))]).

%% ---------------------------------------------------------------------------------------------
%% Into an Erlang
%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    Root = ?config(otp, Config),
    Dir = filename:join([Root, "lib", "epmd_docker-" ++ vsn()]),
    Expected = lists:flatten(io_lib:format("~0p", [{epmd_docker, Dir, loaded}])),
    ?assertEqual({ok, Expected}, erl(Root, ["-noinput", "-sname", "installed", "-eval", show()])),
    %% The protocols and `application:load/1' find it just so.
    ?assertEqual({ok, Expected},
        erl(Root, ["-noinput", "-name", "installed@127.0.0.1", "-proto_dist", "eid_tcp", "-eval", show()])),
    ?assertEqual({ok, "ok"}, erl(Root, ["-noinput", "-eval",
        "io:format(\"~p\", [application:load(epmd_docker)]), halt(0)."])).

ebin_and_priv_and_nothing_else(Config) ->
    Dir = filename:join(?config(priv_dir, Config), "dest"),
    {ok, _} = install(["DESTDIR=" ++ Dir]),
    Lib = filename:join([Dir ++ code:lib_dir(), "epmd_docker-" ++ vsn()]),
    {ok, Modules} = application:get_key(epmd_docker, modules),
    Beams = [filename:join("ebin", atom_to_list(Module) ++ ".beam") || Module <- Modules],
    ?assertEqual(lists:sort(["ebin/epmd_docker.app", "priv/bin/epmd_docker", "priv/epmd_docker_nif.so" | Beams]), files(Lib)),
    %% Nothing else anywhere under DESTDIR.
    ?assertEqual(length(Beams) + 3, length(files(Dir))),
    %% Copies, that stay when the build goes.
    ?assertEqual({ok, ""}, testbed:sh(["find", Dir, "-type", "l"])).

places(Config) ->
    Dir = ?config(priv_dir, Config),
    Name = "epmd_docker-" ++ vsn(),
    [
        begin
            {ok, Said} = install(Variables),
            Lib = filename:join([Dir, Place, Name]),
            ?assertEqual("install: installed " ++ Lib, lists:last(string:lexemes(Said, "\n"))),
            ?assert(filelib:is_regular(filename:join(Lib, "ebin/epmd_docker.app")))
        end
     || {Place, Variables} <- [
            {"prefix/lib/erlang/lib", ["PREFIX=" ++ filename:join(Dir, "prefix")]},
            {"a place/lib", ["ERLANG_LIB=" ++ filename:join(Dir, "a place/lib")]},
            {"stage/opt/otp/lib/erlang/lib", ["PREFIX=/opt/otp", "DESTDIR=" ++ filename:join(Dir, "stage")]}
        ]
    ].

no_erlang_is_told(Config) ->
    Bin = filename:join(?config(priv_dir, Config), "bin"),
    ok = filelib:ensure_dir(filename:join(Bin, "x")),
    [ok = file:make_symlink(os:find_executable(Tool), filename:join(Bin, Tool)) || Tool <- ["sh", "dirname"]],
    {error, {1, Said}} = testbed:sh(["env", "-i", "PATH=" ++ Bin, "sh",
        filename:join([testbed:root(), "scripts", "install"])]),
    ?assertMatch([_ | _], string:find(Said, "ERLANG_LIB")).

%% The library of a running node is replaced by a rename, never written over.
again_under_a_running_node(Config) ->
    Root = ?config(otp, Config),
    Peer = testbed:peer(#{path => [], args => ["-sname", "busy" | ?DIST],
        env => [{"ERL_LIBS", filename:join(Root, "lib")}]}),
    #{library := loaded, library_path := Path} = peer:call(Peer, epmd_docker, info, []),
    ?assertMatch([_ | _], string:prefix(Path, Root)),
    {ok, _} = install(["ERLANG_LIB=" ++ filename:join(Root, "lib")]),
    ?assertEqual(ok, peer:call(Peer, epmd_docker, add_node, ['a@b', "10.0.0.1", 8001])),
    ?assertMatch({ok, #{port := 8001}}, peer:call(Peer, epmd_docker, resolve, ['a@b'])),
    testbed:stop(Peer).

%% ---------------------------------------------------------------------------------------------
%% Into an image
%% ---------------------------------------------------------------------------------------------

our_module_is_in_use_in_the_image(_Config) ->
    Said = testbed:docker(main, ["run", "--rm", ?IMAGE, "erl", "-noinput", "-sname", "app" | ?DIST] ++
        ["-eval", show()]),
    ?assertMatch("{epmd_docker," ++ _, Said),
    ?assertMatch([_ | _], string:find(Said, ",loaded}")).

%% Both ends know the library; the port is the image's user's choice.
from_the_host(_Config) ->
    Id = testbed:docker(main, ["run", "-d", "--init", "-e", "ERL_DIST_PORT=9100", ?IMAGE, "erl", "-noinput",
        "-sname", "app" | ?DIST]),
    Node = list_to_atom("app@" ++ lists:sublist(Id, 12)),
    Peer = testbed:peer(#{args => ["-sname", "host" | ?DIST]}),
    testbed:eventually(fun() -> peer:call(Peer, net_kernel, connect_node, [Node], 10_000) end, 30_000),
    ?assertEqual(epmd_docker, peer:call(Peer, rpc, call, [Node, net_kernel, epmd_module, []])),
    ?assertMatch({ok, #{port := 9100}}, peer:call(Peer, epmd_docker, resolve, [Node])),
    testbed:stop(Peer).

no_rust_in_the_image(_Config) ->
    ?assertEqual("", testbed:docker(main, ["run", "--rm", ?IMAGE, "find", "/", "-xdev", "(",
        "-name", "*cargo*", "-o", "-name", "rustc*", "-o", "-name", "*.rs", ")"])).
