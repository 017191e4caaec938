%% What the suites share: Erlang nodes on this machine (peers), containers on real engines, and
%% an end for all of them, also when a test run was killed.
-module(testbed).

-export([
    root/0,
    app_path/0,
    peer/1,
    stop/1,
    modes/0,
    boot_file/1,
    erl/2,
    eventually/2,
    eventually/3,
    elapsed/1,
    free_port/0,
    engine/0,
    missing/2,
    has_engine/0,
    image/0,
    docker/2,
    try_docker/2,
    run/3,
    remove_all/1,
    label/0,
    lab_up/1,
    lab_down/0,
    lab_dir/0,
    lab_endpoint/1,
    lab_endpoint6/1,
    sh/1,
    log_of/1
]).

%% Every container and network of a test run has this label.
-define(LABEL, "epmd_docker.test").
%% By OTP release: the suites may run with several of them at a time (scripts/test-matrix).
-define(IMAGE, ("epmd_docker_test:otp" ++ erlang:system_info(otp_release))).

%% ---------------------------------------------------------------------------------------------
%% Places
%% ---------------------------------------------------------------------------------------------

-spec root() -> file:filename().
root() ->
    root(filename:dirname(filename:absname(code:which(?MODULE)))).

root("/") -> error(no_repository);
root(Dir) ->
    case filelib:is_regular(filename:join(Dir, "rebar.config")) of
        true -> Dir;
        false -> root(filename:dirname(Dir))
    end.

%% Flags that make the application known to a node.
-spec app_path() -> [string()].
app_path() ->
    ["-pa", filename:join(code:lib_dir(epmd_docker), "ebin")].

%% ---------------------------------------------------------------------------------------------
%% Peers
%% ---------------------------------------------------------------------------------------------

%% A node on this machine, controlled over its standard input and output: its distribution is
%% free for the test. Keys: args, env, mode (interactive | embedded), boot (for embedded), path, and
%% exec ({Program, Arguments} that end with an Erlang) as for peer:start/1.
-spec peer(map()) -> pid().
peer(Options) ->
    Mode = maps:get(mode, Options, interactive),
    Args = maps:get(path, Options, app_path()) ++ mode(Mode, Options) ++ maps:get(args, Options, []),
    %% Linked: a test that fails takes its nodes with it.
    {ok, Peer, _} = peer:start_link((maps:with([exec], Options))#{
        connection => standard_io,
        args => Args,
        env => clean_env() ++ inetrc() ++ maps:get(env, Options, []),
        wait_boot => 30_000
    }),
    Peer.

mode(interactive, _) -> [];
mode(embedded, #{boot := Boot}) -> ["-mode", "embedded", "-boot", Boot].

%% What the machine's own environment says must not leak into a test.
clean_env() ->
    [{Name, ""} || Name <- ["ERL_DIST_PORT", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY",
        "DOCKER_TLS", "DOCKER_CERT_PATH", "DOCKER_CONFIG", "DOCKER_API_VERSION", "XDG_RUNTIME_DIR",
        "ERL_FLAGS", "ERL_AFLAGS", "ERL_ZFLAGS"], os:getenv(Name) =/= false].

%% Names are looked up in files only: a test must not depend on what the machine's name server
%% says of "web", or how fast. A test's own `-kernel inetrc' comes before this.
inetrc() ->
    File = filename:join(filename:dirname(code:which(?MODULE)), "files_only.inetrc"),
    {ok, Host} = inet:gethostname(),
    ok = file:write_file(File, io_lib:format(
        %% The first is the name that OTP 29 then takes for its own (inet_config.erl).
        "{lookup, [file]}.~n{host, {127,0,0,1}, [~p, \"localhost\"]}.~n", [Host])),
    [{"ERL_INETRC", File}].

-spec stop(pid()) -> ok.
stop(Peer) ->
    try peer:stop(Peer)
    catch _:_ -> ok
    end.

-spec modes() -> [interactive | embedded].
modes() -> [interactive, embedded].

%% The boot file of a release with this library, as relx would make it.
-spec boot_file(file:filename()) -> file:filename().
boot_file(Dir) ->
    Name = filename:join(Dir, "epmd_docker_test"),
    Apps = [{App, vsn(App)} || App <- [kernel, stdlib, sasl, crypto, runtime_tools, epmd_docker]],
    Release = {release, {"epmd_docker_test", "1"}, {erts, erlang:system_info(version)}, Apps},
    ok = file:write_file(Name ++ ".rel", io_lib:format("~p.~n", [Release])),
    Path = [filename:join(code:lib_dir(App), "ebin") || {App, _} <- Apps],
    {ok, _, _} = systools:make_script(Name, [{path, Path}, local, silent, no_warn_sasl]),
    Name.

vsn(App) ->
    _ = application:load(App),
    {ok, Vsn} = application:get_key(App, vsn),
    Vsn.

%% Runs `erl' to its end: {Status, everything that it printed}. For nodes that do not boot.
-spec erl([string()], [{string(), string()}]) -> {integer() | timeout, string()}.
erl(Args, Env) ->
    Port = open_port({spawn_executable, os:find_executable("erl")}, [
        {args, ["-noinput" | app_path() ++ Args]},
        {env, clean_env() ++ inetrc() ++ [{"ERL_CRASH_DUMP", "/dev/null/none"} | Env]},
        exit_status, stderr_to_stdout, hide
    ]),
    collect(Port, []).

collect(Port, Output) ->
    receive
        {Port, {data, Data}} -> collect(Port, [Data | Output]);
        {Port, {exit_status, Status}} -> {Status, lists:append(lists:reverse(Output))}
    after 30_000 ->
        {os_pid, Pid} = erlang:port_info(Port, os_pid),
        _ = os:cmd("kill -KILL " ++ integer_to_list(Pid)),
        {timeout, lists:append(lists:reverse(Output))}
    end.

%% ---------------------------------------------------------------------------------------------
%% Conditions
%% ---------------------------------------------------------------------------------------------

-spec eventually(fun(() -> boolean()), timeout()) -> ok.
eventually(Condition, Timeout) ->
    eventually(Condition, Timeout, no_context).

%% Waits for a condition, with a limit; Context tells the reader of a failure what it was about.
-spec eventually(fun(() -> boolean()), timeout(), term()) -> ok.
eventually(Condition, Timeout, Context) ->
    until(Condition, erlang:monotonic_time(millisecond) + Timeout, Context).

until(Condition, Deadline, Context) ->
    case Condition() of
        true ->
            ok;
        Other ->
            case erlang:monotonic_time(millisecond) > Deadline of
                true ->
                    ct:fail({never_happened, Context, Other});
                false ->
                    timer:sleep(20),
                    until(Condition, Deadline, Context)
            end
    end.

%% {Milliseconds, Value}
-spec elapsed(fun(() -> T)) -> {float(), T}.
elapsed(Fun) ->
    {Micros, Value} = timer:tc(Fun),
    {Micros / 1000, Value}.

%% A TCP port that nobody listens on now.
-spec free_port() -> inet:port_number().
free_port() ->
    {ok, Socket} = gen_tcp:listen(0, []),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    Port.

%% ---------------------------------------------------------------------------------------------
%% Engines and containers
%% ---------------------------------------------------------------------------------------------

%% For init_per_suite: ok, or {skip, Why}, which REQUIRE_DOCKER=1 turns into a failure.
-spec engine() -> ok | {skip, string()}.
engine() ->
    case {has_engine(), os:getenv("REQUIRE_DOCKER")} of
        {true, _} -> is_expected(main, "EXPECT_ENGINE");
        {false, "1"} -> error("REQUIRE_DOCKER=1, and no Docker engine answers");
        {false, _} ->
            io:format(user, "~n*** SKIPPED: no Docker engine answers ***~n", []),
            {skip, "no Docker engine answers"}
    end.

%% Ends a test case that this machine cannot run: skipped, or failed with REQUIRE_DOCKER=1.
-spec missing(string(), [term()]) -> no_return().
missing(Format, Args) ->
    Why = lists:flatten(io_lib:format(Format, Args)),
    case os:getenv("REQUIRE_DOCKER") of
        "1" -> error({missing, Why});
        _ ->
            io:format(user, "~n*** SKIPPED: ~ts ***~n", [Why]),
            throw({skip, Why})
    end.

-spec has_engine() -> boolean().
has_engine() ->
    case try_docker(main, ["version", "-f", "{{.Server.Version}}"]) of
        {ok, _} -> true;
        {error, _} -> false
    end.

%% The engine is the one that scripts/test-matrix says it is testing, where it says so.
is_expected(Where, Variable) ->
    case os:getenv(Variable) of
        false ->
            ok;
        Expected ->
            Version = docker(Where, ["version", "-f", "{{.Server.Version}}"]),
            case lists:prefix(Expected ++ ".", Version) of
                true -> ok;
                false -> error({engine, Where, Version, should_be, Expected})
            end
    end.

%% Builds the image that the containers run (nothing to do when it is there already).
-spec image() -> string().
image() ->
    {ok, _} = sh([support("image"), "tiny", ?IMAGE, "--with", code:lib_dir(epmd_docker)]),
    ?IMAGE.

support(Script) ->
    filename:join([root(), "test", "support", Script]).

%% docker on the machine's own engine (main) or on host I of the lab; its output, trimmed.
-spec docker(main | pos_integer(), [string()]) -> string().
docker(Where, Args) ->
    case try_docker(Where, Args) of
        {ok, Output} -> Output;
        {error, Why} -> ct:fail({docker, Where, Args, Why})
    end.

-spec try_docker(main | pos_integer(), [string()]) -> {ok, string()} | {error, term()}.
try_docker(main, Args) -> sh(["docker" | Args]);
try_docker(I, Args) -> sh([support("lab"), "docker", integer_to_list(I) | Args]).

%% Starts a container in the background with `docker run FLAGS image COMMAND'; its 64-digit id.
-spec run(main | pos_integer(), [string()], [string()]) -> string().
run(Where, Flags, Command) ->
    Args = ["run", "-d", "--init", "--label", label()] ++ Flags ++ [?IMAGE | Command],
    docker(Where, Args).

%% Removes what this run made, and what a killed run left behind; not what another one is using.
-spec remove_all(main | pos_integer()) -> ok.
remove_all(Where) ->
    Format = ["--format", "{{.ID}} {{.Label \"" ?LABEL "\"}}", "--filter", "label=" ?LABEL],
    remove(Where, ["ps", "-a" | Format], ["rm", "-f", "-v"]),
    remove(Where, ["network", "ls" | Format], ["network", "rm"]).

remove(Where, List, Remove) ->
    case try_docker(Where, List) of
        {ok, Lines} ->
            Ids = [Id || Line <- string:lexemes(Lines, "\n"), [Id | Owner] <- [string:lexemes(Line, " ")], is_ours(Owner)],
            _ = Ids =/= [] andalso try_docker(Where, Remove ++ Ids),
            ok;
        _ ->
            ok
    end.

is_ours([Owner]) -> Owner =:= os:getpid() orelse not filelib:is_dir("/proc/" ++ Owner);
is_ours([]) -> true.

%% The label of a container or network of this run: the value is who made it.
-spec label() -> string().
label() -> ?LABEL "=" ++ os:getpid().

%% Brings the lab up with our image in every host. Why is what `lab' said when it cannot.
-spec lab_up([string()]) -> ok | {skip, string()}.
lab_up(Options) ->
    Owner = ["--owner", os:getpid(), "--wait", "120"],
    case sh([support("lab"), "up" | Owner ++ Options]) of
        {ok, _} ->
            ok = is_expected(1, "EXPECT_LAB_ENGINE"),
            {ok, _} = sh([support("lab"), "load", ?IMAGE]),
            ok;
        {error, {2, Why}} ->
            case os:getenv("REQUIRE_DOCKER") of
                "1" -> error({no_lab, Why});
                _ ->
                    io:format(user, "~n*** SKIPPED: ~ts ***~n", [Why]),
                    {skip, Why}
            end;
        {error, Why} ->
            error({no_lab, Why})
    end.

-spec lab_down() -> ok.
lab_down() ->
    {ok, _} = sh([support("lab"), "down"]),
    ok.

%% Where the hosts of the lab have their files: d1/run and so on.
-spec lab_dir() -> file:filename().
lab_dir() ->
    filename:join(os:getenv("TMPDIR", "/tmp"), "epmd_docker-lab-10.99.0").

-spec lab_endpoint(pos_integer()) -> string().
lab_endpoint(I) ->
    "10.99.0." ++ integer_to_list(I).

%% In a lab that came up with --ipv6.
-spec lab_endpoint6(pos_integer()) -> string().
lab_endpoint6(I) ->
    "fd99:10:99::" ++ integer_to_list(I).

%% ---------------------------------------------------------------------------------------------
%% Programs and logs
%% ---------------------------------------------------------------------------------------------

%% Runs a program with its arguments as they are (no shell): {ok, Output} or {error, {Status, Output}}.
-spec sh([string()]) -> {ok, string()} | {error, {integer() | timeout, string()}}.
sh([Program | Args]) ->
    Executable =
        case os:find_executable(Program) of
            false -> Program;
            Found -> Found
        end,
    try open_port({spawn_executable, Executable}, [
        {args, Args}, exit_status, stderr_to_stdout, hide, {cd, root()}
    ]) of
        Port ->
            case collect_slow(Port, []) of
                {0, Output} -> {ok, string:trim(Output)};
                {Status, Output} -> {error, {Status, string:trim(Output)}}
            end
    catch
        error:Reason -> {error, {127, atom_to_list(Reason)}}
    end.

collect_slow(Port, Output) ->
    receive
        {Port, {data, Data}} -> collect_slow(Port, [Data | Output]);
        {Port, {exit_status, Status}} -> {Status, lists:append(lists:reverse(Output))}
    after 180_000 -> {timeout, lists:append(lists:reverse(Output))}
    end.

%% What a peer logged, as text. Give it ["-kernel", "logger", log_of(File)] among its flags.
-spec log_of(file:filename()) -> string().
log_of(File) ->
    lists:flatten(io_lib:format(
        "[{handler,default,logger_std_h,#{level=>debug,config=>#{file=>~p}}}]", [File])).
