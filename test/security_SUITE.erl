%% What docs/security.md promises: a node name leads only to allowed hosts, only GET of a few paths is
%% sent, and nothing of what Docker says becomes an atom, or is told to anybody without need.
-module(security_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

%% Debian's package of PropEr has no header file: what its macros stand for is written out.
-import(proper_types, [oneof/1, integer/2, vector/2, list/1, non_empty/1, char/0, bind/3]).

suite() -> [{timetrap, {minutes, 3}}].

all() ->
    [
        our_module_is_in_use,
        only_get_of_known_paths,
        no_redirect_is_followed,
        hosts_that_are_not_allowed_are_not_contacted,
        a_name_server_cannot_get_around_allowed_hosts,
        a_daemon_cannot_send_us_elsewhere,
        names_of_stock_erlang_are_not_limited,
        what_is_no_host_is_a_bad_setting,
        no_atom_is_made_of_what_comes_from_outside,
        no_secret_in_what_an_odd_answer_gives,
        {group, with_docker}
    ].

groups() -> [{with_docker, [], [no_secret_of_a_container_is_told]}].

init_per_suite(Config) -> Config.

end_per_suite(_) -> ok.

init_per_group(with_docker, Config) ->
    case testbed:engine() of
        ok ->
            _ = testbed:image(),
            Config;
        Skip ->
            Skip
    end.

end_per_group(with_docker, _) -> testbed:remove_all(main).

-define(ID, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef").
-define(NONE, {404, "{\"message\":\"No such container\"}"}).

%% A node whose daemons, its own and those of hosts, are this engine.
node_at(Engine, Name, Args, Env) ->
    testbed:peer(#{
        args => ["-start_epmd", "false", "-epmd_module", "epmd_docker", "-setcookie", "of-this-node" | Name ++ Args],
        env => [{"DOCKER_HOST", fake_engine:host(Engine)}, {"EPMD_DOCKER_TIMEOUT_MS", "1500"},
            {"EPMD_DOCKER_DAEMON_PORT", integer_to_list(fake_engine:port(Engine))} | Env]
    }).

short(Engine, Env) -> node_at(Engine, ["-sname", unique("safe") ++ "@localhost"], [], Env).

long(Engine, Env) -> long(Engine, [], Env).

long(Engine, Args, Env) -> node_at(Engine, ["-name", unique("safe") ++ "@127.0.0.1"], Args, Env).

unique(Name) -> Name ++ integer_to_list(erlang:unique_integer([positive])).

resolve(Peer, Node) -> peer:call(Peer, epmd_docker, resolve, [Node], 20_000).

%% ---------------------------------------------------------------------------------------------
%% Requests
%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(_) ->
    Engine = fake_engine:start(fun(_) -> ?NONE end),
    Peer = short(Engine, []),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])),
    testbed:stop(Peer).

%% Whatever the name is: the request line is one of these, it has one header, and the only part of
%% the name in it is the reference to a container, as it stands in the name.
only_get_of_known_paths(_) ->
    Engine = fake_engine:start(fun
        ("/v1.41/containers/json" ++ _) -> {200, "[{\"Id\":\"" ?ID "\",\"State\":\"running\"}]"};
        (_) -> ?NONE
    end),
    Peer = long(Engine, []),
    Before = fun() -> length(fake_engine:heads(Engine)) end,
    Property = proper:forall({part(), host()}, fun({NameParts, HostParts}) ->
        {Name, Host} = {lists:flatten(NameParts), lists:flatten(HostParts)},
        Seen = Before(),
        Answer = peer:call(Peer, epmd_docker, address_please, [Name, Host, inet], 20_000),
        Sent = lists:nthtail(Seen, fake_engine:heads(Engine)),
        Bad = [Head || Head <- Sent, not is_expected(Head, [Name, Host, ?ID])],
        proper:whenfail(fun() -> ct:pal("~p ~p: ~p~nsent: ~p", [Name, Host, Answer, Bad]) end,
            fun() -> element(1, Answer) =:= error andalso Bad =:= [] end)
    end),
    ?assert(proper:quickcheck(Property, [{numtests, 2000}, {on_output, fun ct:log/2}])),
    %% Names did lead to requests, at both kinds of daemon.
    Paths = fake_engine:paths(Engine),
    ?assert(length(lists:usort(Paths)) > 50),
    ?assert(lists:any(fun(Path) -> string:find(Path, "/events?") =/= nomatch end, Paths)),
    testbed:stop(Peer).

part() ->
    oneof([hex(), reference(), hostile(), [hex(), hostile()], [hostile(), hex()], utf8_text()]).

%% A host with a dot that could be one would be asked of the machine's name server.
host() ->
    oneof(["127.0.0.1", "::ffff:127.0.0.1", reference(), reference(), hostile(), ["127.0.0.1", hostile()],
        [reference(), hostile()], [reference(), hostile(), "json"]]).

hex() -> bind(integer(12, 64), fun(N) -> vector(N, oneof("0123456789abcdef")) end, false).

reference() -> [oneof("abzAZ019") | list(oneof("abzAZ019_-"))].

hostile() ->
    oneof(["/", "/../", "/json?all=1", "?", "?a=b", "#", "%2f", "%2e%2e/", "%00", " ", "\r\n", "\r\nHost: x\r\n\r\n",
        " HTTP/1.1\r\n\r\nPOST /containers/x/start", "\n", "\t", [0], ":80", "@", "//", "\\", "..", ";", "*", [233], [16#2f00],
        "/exec", "/containers/x/json", "http://127.0.0.1/", "user:pw@"]).

utf8_text() -> non_empty(list(oneof([char(), oneof("/?#%@.: \r\n")]))).

is_expected({'GET', Path, [{'Host', _}]}, Texts) ->
    Plain = "^(/v1\\.41)?/(_ping|containers/json\\?all=1|events\\?[A-Za-z0-9%=&.]*)$",
    case re:run(Path, "^(?:/v1\\.41)?/containers/([A-Za-z0-9][A-Za-z0-9_.-]{0,127})/json$", [{capture, [1], list}]) of
        {match, [Reference]} -> lists:member(Reference, Texts);
        nomatch -> re:run(Path, Plain, [{capture, none}]) =:= match
    end;
is_expected(_, _) ->
    false.

%% Neither to another host nor to another path of the same.
no_redirect_is_followed(_) ->
    Other = fake_engine:start(fun(_) -> {200, fake_engine:inspect(?ID)} end),
    [
        begin
            Engine = fake_engine:start(redirects(Status, Where, Other), none),
            Peer = short(Engine, []),
            ?assertMatch({error, {status, Status, _}}, resolve(Peer, "app@web")),
            ?assertEqual([], [Path || Path <- fake_engine:paths(Engine), string:find(Path, "elsewhere") =/= nomatch]),
            testbed:stop(Peer)
        end
     || Status <- [301, 302, 303, 307, 308], Where <- [ping, rest]
    ],
    ?assertEqual([], fake_engine:heads(Other)).

redirects(Status, Where, Other) ->
    To = fun(Path) -> {Status, "{}", ["Location: ", fake_engine:host(Other), Path, "\r\n"]} end,
    fun
        ("/_ping") when Where =:= rest -> {200, "OK", "Api-Version: 1.41\r\n"};
        ("/_ping") -> {Status, "{}", "Location: /elsewhere\r\n"};
        ([_ | _] = Path) -> To(Path)
    end.

%% ---------------------------------------------------------------------------------------------
%% Hosts
%% ---------------------------------------------------------------------------------------------

%% The engine listens on 127.0.0.1, so that each spelling of that would reach it.
hosts_that_are_not_allowed_are_not_contacted(_) ->
    Engine = fake_engine:start(fun(_) -> ?NONE end),
    Refused = fun(Peer, Host) ->
        [?assertMatch({_, {error, {host_not_allowed, _}}},
            {Host, peer:call(Peer, epmd_docker, F, [?ID, Host | More], 20_000)})
         || {F, More} <- [{address_please, [inet]}]],
        ?assertMatch({_, {error, {host_not_allowed, _}}}, {Host, resolve(Peer, ?ID ++ "@" ++ Host)})
    end,
    No = [{"DOCKER_HOST", "unix:///nowhere"}],
    Others = long(Engine, [{"EPMD_DOCKER_ALLOWED_HOSTS", "10.0.0.0/8, docker.example"} | No]),
    [Refused(Others, Host) || Host <- ["127.0.0.1", "::ffff:127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:0.0.0.0",
        "169.254.169.254", "0x7f.0x0.0x0.0x1"]],
    testbed:stop(Others),
    Default = long(Engine, No),
    [Refused(Default, Host) || Host <- ["203.0.113.7", "::ffff:203.0.113.7", "2001:db8::1", "0.0.0.0", "::",
        "::ffff:0.0.0.0", "224.0.0.1", "ff02::1", "255.255.255.255", "0xcb.0x0.0x71.0x7"]],
    ?assertEqual([], fake_engine:heads(Engine)),
    %% The engine was there all the time.
    ?assertEqual({error, no_such_container}, resolve(Default, "fedcba987654@127.0.0.1")),
    ?assertNotEqual([], fake_engine:heads(Engine)),
    testbed:stop(Default).

%% libc and Erlang have different answers for one name, as a name server may from one second to the
%% next: the daemon was asked at an allowed address, and then stock Erlang's way would lead to another.
a_name_server_cannot_get_around_allowed_hosts(Config) ->
    Engine = fake_engine:start(fun(_) -> ?NONE end),
    {ok, Epmd} = gen_tcp:listen(0, [{ip, {127, 0, 0, 9}}]),
    {ok, EpmdPort} = inet:port(Epmd),
    Inetrc = filename:join(?config(priv_dir, Config), "rebind.inetrc"),
    ok = file:write_file(Inetrc, "{lookup, [file]}. {host, {127,0,0,9}, [\"0x7f.0x0.0x0.0x1\"]}.\n"),
    Args = ["-kernel", "inetrc", "\"" ++ Inetrc ++ "\"", "-epmd_port", integer_to_list(EpmdPort)],
    Env = [{"EPMD_DOCKER_ALLOWED_HOSTS", "127.0.0.1"}],
    Node = "0123456789ab@0x7f.0x0.0x0.0x1",
    Peer = long(Engine, Args, Env),
    ?assertEqual({ok, {127, 0, 0, 9}}, peer:call(Peer, inet, getaddr, ["0x7f.0x0.0x0.0x1", inet])),
    ?assertEqual({error, {host_not_allowed, <<"127.0.0.9">>}}, resolve(Peer, Node)),
    ?assertNotEqual([], fake_engine:heads(Engine)),
    ?assertEqual({error, timeout}, gen_tcp:accept(Epmd, 0)),
    %% Without a question to epmd too: a fixed port is no way around it.
    Fixed = long(Engine, Args, [{"EPMD_DOCKER_REMOTE_PORT", integer_to_list(EpmdPort)} | Env]),
    ?assertEqual({error, {host_not_allowed, <<"127.0.0.9">>}}, resolve(Fixed, Node)),
    ?assertEqual(false, peer:call(Fixed, net_kernel, connect_node, [list_to_atom(Node)], 20_000)),
    ?assertEqual({error, timeout}, gen_tcp:accept(Epmd, 0)),
    %% Where that address is allowed, it is where the name leads.
    Both = long(Engine, Args, [{"EPMD_DOCKER_ALLOWED_HOSTS", "127.0.0.1 127.0.0.9"}]),
    _ = peer:call(Both, erlang, spawn, [epmd_docker, resolve, [Node]]),
    ?assertMatch({ok, _}, gen_tcp:accept(Epmd, 10_000)),
    [testbed:stop(P) || P <- [Peer, Fixed, Both]].

%% Not the first time, and not from memory.
a_daemon_cannot_send_us_elsewhere(_) ->
    [
        begin
            Inspect = re:replace(fake_engine:inspect(?ID), "0\\.0\\.0\\.0", HostIp, [{return, binary}]),
            Engine = fake_engine:start(fun
                ("/v1.41/events" ++ _) -> {open, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"};
                ("/v1.41/containers/json" ++ _) -> {200, "[]"};
                (_) -> {200, Inspect}
            end),
            Peer = long(Engine, [{"DOCKER_HOST", "unix:///nowhere"}]),
            [?assertEqual({error, {host_not_allowed, list_to_binary(HostIp)}}, resolve(Peer, ?ID ++ "@127.0.0.1"))
             || _ <- lists:seq(1, 5)],
            ?assertEqual(false, peer:call(Peer, net_kernel, connect_node, [list_to_atom(?ID ++ "@127.0.0.1")], 20_000)),
            testbed:stop(Peer)
        end
     || HostIp <- ["203.0.113.9", "255.255.255.255", "224.0.0.1"]
    ].

%% DESIGN, and docs/security.md: they are as in stock Erlang, and so is whom they lead to.
names_of_stock_erlang_are_not_limited(_) ->
    Engine = fake_engine:start(fun(_) -> ?NONE end),
    Peer = long(Engine, [{"EPMD_DOCKER_ALLOWED_HOSTS", "10.0.0.0/8"}, {"EPMD_DOCKER_REMOTE_PORT", "4711"},
        {"DOCKER_HOST", "unix:///nowhere"}]),
    ?assertMatch({ok, #{address := {127, 0, 0, 1}, port := 4711, source := fixed_port}}, resolve(Peer, "app@127.0.0.1")),
    ?assertEqual([], fake_engine:heads(Engine)),
    testbed:stop(Peer).

what_is_no_host_is_a_bad_setting(_) ->
    [
        begin
            {Status, Output} = testbed:erl(["-epmd_module", "epmd_docker", "-start_epmd", "false", "-sname", unique("bad")],
                [{"EPMD_DOCKER_ALLOWED_HOSTS", "10.0.0.0/8 " ++ Entry}]),
            ?assertNotEqual(0, Status),
            [?assertNotEqual({nomatch, Entry, Output}, {string:find(Output, Part), Entry, Output}) || Part <- ["allowed_hosts", Entry]]
        end
     || Entry <- ["0.0.0.0", "224.0.0.1", "10.0.0.1:4243"]
    ].

%% ---------------------------------------------------------------------------------------------
%% Atoms
%% ---------------------------------------------------------------------------------------------

%% Names, containers, events and errors that are all new: after the first 800 of them, another 400 make no atom.
no_atom_is_made_of_what_comes_from_outside(_) ->
    Engine = fake_engine:start(fun any_answer/1),
    Peer = long(Engine, [{"EPMD_DOCKER_TIMEOUT_MS", "300"}, {"EPMD_DOCKER_REFRESH_MS", "1000"}]),
    _ = flood(Peer),
    _ = flood(Peer),
    Before = peer:call(Peer, erlang, system_info, [atom_count]),
    Answers = flood(Peer),
    ?assertEqual(Before, peer:call(Peer, erlang, system_info, [atom_count])),
    %% Not all of one kind.
    Kinds = lists:usort([kind(Answer) || Answer <- Answers]),
    ct:pal("~p", [Kinds]),
    ?assert(length(Kinds) >= 4, Kinds),
    testbed:stop(Peer).

kind({error, Reason}) when is_tuple(Reason) -> element(1, Reason);
kind({error, Reason}) -> Reason;
kind(Ok) -> element(1, Ok).

flood(Peer) ->
    ok = peer:call(Peer, epmd_docker, subscribe, []),
    Call = fun(F, A) -> peer:call(Peer, epmd_docker, F, A, 20_000) end,
    {ok, _} = Call(names, ["127.0.0.1"]),
    lists:append([
        begin
            Id = random_id(),
            [Call(address_please, [unique("n"), unique("web"), inet]),
             Call(address_please, [Id, "127.0.0.1", inet]),
             Call(resolve, [Id ++ "@127.0.0.1"]),
             Call(resolve, [unique("a") ++ "@" ++ unique("b")])]
        end
     || _ <- lists:seq(1, 100)
    ]).

random_id() -> lists:flatten(io_lib:format("~64.16.0b", [rand:uniform(1 bsl 250)])).

any_answer("/v1.41/events" ++ _) ->
    Event = io_lib:format("{\"Type\":\"~s\",\"Action\":\"~s\",\"Actor\":{\"ID\":\"~s\",\"Attributes\":{\"name\":\"~s\"}},\"timeNano\":~b}\n",
        [lists:nth(rand:uniform(3), ["container", "network", unique("type")]), unique("action"), random_id(), unique("x"),
            erlang:system_time()]),
    {close, ["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", lists:duplicate(5, Event)]};
any_answer("/v1.41/containers/json" ++ _) ->
    {200, io_lib:format("[{\"Id\":\"~s\",\"Names\":[\"/~s\"],\"State\":\"~s\",\"Labels\":{\"epmd-docker.port.~s\":\"1\"}}]",
        [random_id(), unique("n"), lists:nth(rand:uniform(2), ["running", unique("s")]), unique("l")])};
any_answer(Path) ->
    case {rand:uniform(8), re:run(Path, "/([0-9a-f]{64})/json", [{capture, [1], list}])} of
        {1, _} -> {300 + rand:uniform(299), ["{\"message\":\"", unique("oh"), "\"}"]};
        {2, _} -> {200, ["{\"", unique("key"), "\":\"", unique("value"), "\"}"]};
        {3, _} -> {close, unique("SSH-2.0")};
        {4, {match, [Id]}} -> {200, fake_engine:inspect(Id, unique("state"))};
        {5, {match, [Id]}} -> {200, re:replace(fake_engine:inspect(Id), "bridge", unique("net"))};
        {6, {match, [Id]}} -> {200, re:replace(fake_engine:inspect(Id), "\"Labels\":{}",
            ["\"Labels\":{\"epmd-docker.node\":\"", unique("n"), "\",\"epmd-docker.network\":\"", unique("w"), "\"}"])};
        {_, {match, [Id]}} -> {200, fake_engine:inspect(Id)};
        _ -> ?NONE
    end.

%% ---------------------------------------------------------------------------------------------
%% Secrets
%% ---------------------------------------------------------------------------------------------

%% The secret is in every place where Docker shows environment, labels and commands, in types that
%% are not Docker's, and in answers that are cut off within it.
no_secret_in_what_an_odd_answer_gives(Config) ->
    Secret = secret(),
    Table = ets:new(script, [public]),
    Engine = fake_engine:start(fun(_) -> ets:lookup_element(Table, now, 2) end),
    Log = filename:join(?config(priv_dir, Config), "odd.log"),
    Peer = talkative(Log, fun(Args) -> node_at(Engine, ["-sname", unique("safe") ++ "@localhost"], Args, []) end),
    Told = [
        begin
            true = ets:insert(Table, {now, {200, Body}}),
            told(Peer, "app@web")
        end
     || Body <- odd_answers(Secret)
    ],
    Kinds = lists:usort([kind(Answer) || {Answer, _} <- Told]),
    ?assert(lists:member(ok, Kinds) andalso lists:member(bad_response, Kinds), Kinds),
    testbed:stop(Peer),
    ?assertEqual([], [One || One <- Told, holds(One, Secret)]),
    is_told_nowhere([Secret], Log).

odd_answers(Secret) ->
    Good = iolist_to_binary(fake_engine:inspect(?ID)),
    Quoted = ["\"", Secret, "\""],
    Values = [Quoted, ["[", Quoted, "]"], ["{\"A\":", Quoted, "}"], ["[[", Quoted, "]]"], ["{\"epmd-docker.port\":", Quoted, "}"],
        ["{\"epmd-docker.port\":[", Quoted, "]}"], ["{", Quoted, ":1}"], ["[\"ERL_DIST_PORT=", Secret, "\",\"A=", Secret, "\"]"],
        ["[\"A=", Secret, "\\ud800\"]"], ["[\"A=", Secret, 0, "\"]"]],
    Fields = ["\"Env\":[]", "\"Labels\":{}"],
    Odd = [iolist_to_binary(string:replace(Good, Field, [hd(string:split(Field, ":")), ":", Value]))
        || Field <- Fields, Value <- Values],
    Long = iolist_to_binary(string:replace(Good, "\"Env\":[]",
        ["\"Cmd\":[", Quoted, "],\"Env\":[\"COOKIE=", Secret, "\",\"ERL_DIST_PORT=12345\"]"])),
    {At, _} = binary:match(Long, list_to_binary(Secret)),
    Odd ++ [Long] ++ [binary:part(Long, 0, Length) || Length <- lists:seq(At, At + 120, 5)].

%% A real container with secrets in all places where people put them, asked for in every way.
no_secret_of_a_container_is_told(Config) ->
    [Environment, Label, Cookie] = Secrets = [secret(), secret(), secret()],
    Flags = ["-e", "DB_PASSWORD=" ++ Environment, "-l", "note=" ++ Label],
    Erl = "exec erl -noinput -setcookie " ++ Cookie ++ " -sname app",
    Id = testbed:run(main, ["-e", "ERL_DIST_PORT=12345" | Flags], ["sh", "-c", Erl]),
    Silent = testbed:run(main, Flags, ["sleep", "600"]),
    Stopped = testbed:run(main, Flags, ["true"]),
    Log = filename:join(?config(priv_dir, Config), "real.log"),
    Start = fun(Args) -> testbed:peer(#{args => ["-start_epmd", "false", "-epmd_module", "epmd_docker",
        "-sname", unique("safe"), "-setcookie", "of-this-node" | Args]}) end,
    Peer = talkative(Log, Start),
    Names = ["app@" ++ lists:sublist(One, 12) || One <- [Id, Silent, Stopped]] ++ ["other@" ++ lists:sublist(Id, 12)],
    testbed:eventually(fun() -> element(1, resolve(Peer, hd(Names))) =:= ok end, 20_000),
    Told = [told(Peer, Name) || Name <- Names],
    %% The cookie is wrong, the name is wrong, nothing listens, the container has stopped.
    [?assertNotEqual(true, peer:call(Peer, net_kernel, connect_node, [list_to_atom(Name)], 20_000)) || Name <- Names],
    Subscribed = subscribed(Peer),
    ?assertMatch([{epmd_docker, snapshot, [_ | _]} | _], Subscribed),
    All = {Told, Subscribed, peer:call(Peer, epmd_docker, names, []), peer:call(Peer, epmd_docker, info, [])},
    testbed:stop(Peer),
    ?assertEqual([], [Secret || Secret <- Secrets, holds(All, Secret)]),
    ?assert(holds(All, lists:sublist(Id, 12))),
    is_told_nowhere(["of-this-node" | Secrets], Log).

secret() -> "s3cr3t" ++ integer_to_list(rand:uniform(1 bsl 60), 36).

%% Logs all that there is.
talkative(Log, Start) ->
    Peer = Start(["-kernel", "logger", testbed:log_of(Log), "-kernel", "logger_level", "debug"]),
    ok = peer:call(Peer, logger, set_primary_config, [level, all]),
    Peer.

%% What the API says of a node, in terms and in words.
told(Peer, Node) ->
    Answer = resolve(Peer, Node),
    Words = case Answer of
        {error, Reason} -> peer:call(Peer, epmd_docker, format_error, [Reason]);
        _ -> []
    end,
    Info = peer:call(Peer, epmd_docker, info, []),
    {Answer, {Words, Info, explained(Peer, Node)}}.

explained(Peer, Node) ->
    case peer:call(Peer, erlang, function_exported, [epmd_docker, explain, 1]) of
        true -> peer:call(Peer, epmd_docker, explain, [Node], 20_000);
        false -> none
    end.

subscribed(Peer) ->
    {ok, Tokens, _} = erl_scan:string(
        "ok = epmd_docker:subscribe(), receive Snapshot -> [Snapshot, process_info(self(), messages)] after 5000 -> [] end."),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, Messages, _} = peer:call(Peer, erl_eval, exprs, [Expressions, []], 20_000),
    Messages.

is_told_nowhere(Secrets, Log) ->
    {ok, Text} = file:read_file(Log),
    %% It is the log of what was done here.
    ?assertMatch({_, _}, binary:match(Text, <<"epmd_docker: no address for">>)),
    ?assertEqual([], [Line || Line <- binary:split(Text, <<"\n">>, [global]), Secret <- Secrets,
        binary:match(Line, list_to_binary(Secret)) =/= nomatch]).

%% Whether a text is anywhere in a term.
holds(Term, Text) when is_binary(Term) -> binary:match(Term, list_to_binary(Text)) =/= nomatch;
holds(Term, Text) when is_atom(Term) -> holds(atom_to_binary(Term), Text);
holds(Term, Text) when is_tuple(Term) -> holds(tuple_to_list(Term), Text);
holds(Term, Text) when is_map(Term) -> holds(maps:to_list(Term), Text);
holds([_ | _] = Term, Text) ->
    try unicode:characters_to_binary(Term) of
        Binary when is_binary(Binary) -> holds(Binary, Text);
        _ -> lists:any(fun(One) -> holds(One, Text) end, Term)
    catch
        error:badarg -> lists:any(fun(One) -> holds(One, Text) end, Term)
    end;
holds(_, _) ->
    false.
