%% What an engine can answer, and must not: a scripted one does each of it to a real node (fault).
-module(faults_answers_SUITE).

-include_lib("common_test/include/ct.hrl").
-include_lib("stdlib/include/assert.hrl").

-compile([export_all, nowarn_export_all]).

-define(ID, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef").
-define(NODE, <<"app@web">>).
-define(TIMEOUT_MS, 600).
-define(OK, "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n").
-define(CHUNKED, ?OK "Transfer-Encoding: chunked\r\n\r\n").

suite() -> [{timetrap, {minutes, 3}}].

all() ->
    [our_module_is_in_use, silence, broken_off, too_much, lies_of_http, json_that_is_none, statuses,
        redirected, no_such_container, another_api_version, one_gibibyte_of_json].

init_per_suite(Config) ->
    ok = fault:new_table(?MODULE),
    Config.

end_per_suite(_) -> fault:write_table().

%% One node and one engine for each test case: `now' is what the engine does.
init_per_testcase(Case, Config) ->
    Table = ets:new(script, [public]),
    true = ets:insert(Table, {now, good()}),
    Engine = fake_engine:start(fun(Path) -> now(Table, Path) end, in_script),
    Peer = fault:node([{"DOCKER_HOST", fake_engine:host(Engine)}, {"EPMD_DOCKER_ADDRESS", "published"},
        {"EPMD_DOCKER_REMOTE_PORT", "12345"}, {"EPMD_DOCKER_WATCH", "false"},
        {"EPMD_DOCKER_TIMEOUT_MS", integer_to_list(timeout(Case))}]),
    true = unlink(Peer),
    {Pid, _} = Engine,
    true = unlink(Pid),
    [{peer, Peer}, {engine, Engine}, {script, Table} | Config].

%% A busy machine takes its time to send as much as is read.
timeout(one_gibibyte_of_json) -> 5000;
timeout(_) -> ?TIMEOUT_MS.

end_per_testcase(_, Config) ->
    testbed:stop(?config(peer, Config)),
    fake_engine:stop(?config(engine, Config)).

now(Table, Path) ->
    case ets:lookup_element(Table, now, 2) of
        Script when is_function(Script, 1) -> Script(Path);
        Reply -> Reply
    end.

%% As Docker would.
good() ->
    fun("/_ping") -> {200, "OK", "Api-Version: 1.41\r\n"};
       (_) -> {200, inspect()}
    end.

inspect() -> fake_engine:inspect(?ID).

%% The engine does this instead of answering, to the ping too.
suffer(Config, Fault, Reply, Expect) -> suffer(Config, Fault, Reply, Expect, #{}).

suffer(Config, Fault, Reply, Expect, More) ->
    Table = ?config(script, Config),
    Peer = ?config(peer, Config),
    fault:works(Peer, ?NODE),
    fault:row(Peer, maps:merge(#{
        fault => Fault,
        inject => fun() -> ets:insert(Table, {now, Reply}) end,
        mend => fun(_) -> ets:insert(Table, {now, good()}) end,
        node => ?NODE,
        expect => Expect,
        by => ?TIMEOUT_MS + 500
    }, More)).

is(Reason) -> fun(Result) -> Result =:= {error, Reason} end.

kind(Kind) -> fun({error, Reason}) -> is_tuple(Reason) andalso element(1, Reason) =:= Kind; (_) -> false end.

connect(Posix) -> fun({error, {connect, <<"tcp://127.0.0.1:", _/binary>>, P}}) -> P =:= Posix; (_) -> false end.

half() ->
    Good = iolist_to_binary(inspect()),
    binary:part(Good, 0, byte_size(Good) div 2).

%% ---------------------------------------------------------------------------------------------

our_module_is_in_use(Config) ->
    Peer = ?config(peer, Config),
    ?assertEqual(epmd_docker, peer:call(Peer, net_kernel, epmd_module, [])),
    ?assertMatch(#{library := loaded}, peer:call(Peer, epmd_docker, info, [])).

silence(Config) ->
    suffer(Config, "the engine accepts and never answers", hang, is(timeout)),
    Slowly = {with, fun(Socket) -> drip(Socket, iolist_to_binary([?OK, "Content-Length: 2\r\n\r\n{}"])) end},
    suffer(Config, "it answers one byte a second", Slowly, is(timeout)).

drip(Socket, <<Byte, Rest/binary>>) ->
    case gen_tcp:send(Socket, <<Byte>>) of
        %% Also the way to see that the other side has gone.
        ok -> gen_tcp:recv(Socket, 0, 1000) =:= {error, timeout} andalso drip(Socket, Rest);
        {error, _} -> ok
    end;
drip(_, <<>>) ->
    ok.

broken_off(Config) ->
    suffer(Config, "it closes without a word", {close, ""}, connect(econnreset)),
    suffer(Config, "it closes in the middle of the head", {close, "HTTP/1.1 200 OK\r\nContent-Le"}, connect(econnreset)),
    suffer(Config, "it closes in the middle of the body", {close, [?OK, "Content-Length: 5000\r\n\r\n", half()]}, kind(bad_response)),
    suffer(Config, "it closes in the middle of a chunk", {close, [?CHUNKED, "ffff\r\n", half()]}, kind(bad_response)),
    suffer(Config, "it resets the connection", {with, fun(Socket) ->
        ok = inet:setopts(Socket, [{linger, {true, 0}}]),
        gen_tcp:close(Socket)
    end}, connect(econnreset)).

too_much(Config) ->
    suffer(Config, "a body without an end", {with, fun(Socket) ->
        ok = gen_tcp:send(Socket, [?OK, "\r\n"]),
        pour(Socket, binary:copy(<<" ">>, 65536), infinity)
    end}, kind(too_large)),
    suffer(Config, "a head without an end", {with, fun(Socket) ->
        ok = gen_tcp:send(Socket, ?OK),
        pour(Socket, binary:copy(<<"X-Filler: abcdefghijklmnopqrstuvwxyz\r\n">>, 1000), infinity)
    end}, kind(bad_response)),
    suffer(Config, "a body that is announced as 1 TiB", {open, [?OK, "Content-Length: 1099511627776\r\n\r\n{"]}, kind(too_large)).

%% Sends Bytes again and again, until the other side has had enough.
pour(_Socket, _Bytes, 0) -> ok;
pour(Socket, Bytes, Times) ->
    case gen_tcp:send(Socket, Bytes) of
        ok when Times =:= infinity -> pour(Socket, Bytes, infinity);
        ok -> pour(Socket, Bytes, Times - 1);
        {error, _} -> ok
    end.

lies_of_http(Config) ->
    [suffer(Config, Fault, {close, Bytes}, Expect) || {Fault, Bytes, Expect} <- [
        {"a chunk that is longer than it says", [?CHUNKED, "5\r\n", half(), "\r\n0\r\n\r\n"], kind(bad_response)},
        {"a chunk of -1 bytes", [?CHUNKED, "-1\r\n", half()], kind(bad_response)},
        {"a chunk of 2^64 bytes", [?CHUNKED, "10000000000000000\r\n", half()], kind(bad_response)},
        {"a chunk whose length is no number", [?CHUNKED, "zz\r\n", half()], kind(bad_response)},
        {"two lengths that differ", [?OK, "Content-Length: 5\r\nContent-Length: 700\r\n\r\n", inspect()], kind(bad_response)},
        {"a length that is no number", [?OK, "Content-Length: many\r\n\r\n", inspect()], kind(bad_response)},
        {"no HTTP but SSH", "SSH-2.0-OpenSSH_9.2\r\n", kind(bad_response)},
        {"no HTTP but zeros", <<0:8000>>, kind(bad_response)}
    ]].

json_that_is_none(Config) ->
    Good = iolist_to_binary(inspect()),
    Replaced = fun(From, To) ->
        Changed = binary:replace(Good, From, To),
        ?assertNotEqual(Good, Changed),
        Changed
    end,
    Any = fun({ok, #{port := 40000}}) -> true; (_) -> false end,
    [suffer(Config, Fault, instead(Body), Expect) || {Fault, Body, Expect} <- [
        {"JSON that ends in the middle", half(), kind(bad_response)},
        {"JSON of another kind: a list", "[]", kind(bad_response)},
        {"JSON of another kind: null", "null", kind(bad_response)},
        {"a number for the state", Replaced(<<"\"running\"">>, <<"17">>), kind(bad_response)},
        {"a list for the name", Replaced(<<"\"/web\"">>, <<"[\"/web\"]">>), kind(bad_response)},
        {"a number for a port's bindings", Replaced(<<"\"Ports\":{">>, <<"\"Ports\":{\"x\":5,">>), kind(bad_response)},
        {"a port of 99999999999", Replaced(<<"40000">>, <<"99999999999">>), is({not_published, 12345})},
        {"50,000 lists in each other", lists:duplicate(50_000, $[), kind(bad_response)},
        {"the same in a field that nobody reads", Replaced(<<"\"Env\":[]">>, iolist_to_binary(["\"Env\":[],\"X\":",
            lists:duplicate(50_000, $[), lists:duplicate(50_000, $])])), Any},
        {"a key twice", Replaced(<<"\"Name\":\"/web\"">>, <<"\"Name\":\"/web\",\"Name\":\"/other\"">>), kind(bad_response)},
        {"half a surrogate pair in the name", Replaced(<<"/web">>, <<"/w\\ud800eb">>), kind(bad_response)},
        {"half a surrogate pair in a label", Replaced(<<"\"Labels\":{}">>, <<"\"Labels\":{\"a\":\"\\ud800\"}">>), Any},
        {"bytes that are not UTF-8 in the name", Replaced(<<"/web">>, <<"/w", 255, 254, "eb">>), kind(bad_response)},
        {"bytes that are not UTF-8 in a label", Replaced(<<"\"Labels\":{}">>, <<"\"Labels\":{\"a\":\"", 255, "\"}">>), Any},
        {"another container than was asked for", fake_engine:inspect("zz"), kind(bad_response)}
    ]].

%% The ping is good, and then this.
instead(Body) -> instead(200, Body).

instead(Status, Body) ->
    fun("/_ping") -> {200, "OK", "Api-Version: 1.41\r\n"};
       (_) -> {Status, Body}
    end.

statuses(Config) ->
    [suffer(Config, "status " ++ integer_to_list(Status), instead(Status, Body), is({status, Status, Text}))
     || {Status, Body, Text} <- [
            {401, "", <<>>},
            {403, "{\"message\":\"not for you\"}", <<"not for you">>},
            {409, "{\"message\":\"conflict\"}", <<"conflict">>},
            {429, "slow down", <<"slow down">>},
            {500, "{\"message\":\"server error\"}", <<"server error">>},
            {503, "<html>out of order</html>", <<"<html>out of order</html>">>}
        ]].

no_such_container(Config) ->
    Gone = fun("/_ping") -> {200, "OK", "Api-Version: 1.41\r\n"};
              (Path) ->
                  case string:find(Path, "/containers/json") of
                      nomatch -> {404, "{\"message\":\"No such container\"}"};
                      _ -> {200, "[]"}
                  end
           end,
    suffer(Config, "status 404", Gone, is(no_such_container)),
    suffer(Config, "status 404, to the list too", instead(404, "{\"message\":\"page not found\"}"),
        is({status, 404, <<"page not found">>})).

%% Nobody goes where it points.
redirected(Config) ->
    Elsewhere = fake_engine:start(fun(_) -> {200, inspect()} end, in_script),
    [begin
        Reply = fun(_) -> {Status, "", "Location: " ++ fake_engine:host(Elsewhere) ++ "/containers/web/json\r\n"} end,
        suffer(Config, "redirected with " ++ integer_to_list(Status), Reply, is({status, Status, <<>>}))
     end || Status <- [301, 302, 307, 308]],
    ?assertEqual([], fake_engine:paths(Elsewhere)),
    fake_engine:stop(Elsewhere).

%% An engine that was exchanged for another one under the same address.
another_api_version(Config) ->
    Speaks = fun(Version) ->
        fun("/_ping") -> {200, "OK", "Api-Version: " ++ Version ++ "\r\n"};
           (Path) ->
               case lists:prefix("/v" ++ Version ++ "/", Path) of
                   true -> {200, inspect(), "Api-Version: " ++ Version ++ "\r\n"};
                   false -> {400, "client version is too old. Minimum supported API version is " ++ Version}
               end
        end
    end,
    Any = fun({ok, #{port := 40000}}) -> true; (_) -> false end,
    suffer(Config, "the engine is another, of API version 1.52", Speaks("1.52"), Any),
    suffer(Config, "the engine is another, of API version 1.24", Speaks("1.24"), Any).

%% As the list of all containers, the longest answer that is read; what it costs in memory is bounded.
one_gibibyte_of_json(Config) ->
    Peer = ?config(peer, Config),
    Sent = counters:new(1, []),
    One = iolist_to_binary(io_lib:format("{\"Id\":\"~s\",\"Names\":[\"/other\"],\"State\":\"running\"},", [?ID])),
    MiB = binary:copy(One, (1 bsl 20) div byte_size(One)),
    Huge = fun("/_ping") -> {200, "OK", "Api-Version: 1.41\r\n"};
              (Path) ->
                  case string:find(Path, "/containers/json") of
                      nomatch -> {404, "{\"message\":\"No such container\"}"};
                      _ -> {with, fun(Socket) ->
                          ok = gen_tcp:send(Socket, [?OK, "\r\n["]),
                          pour_counted(Socket, MiB, 1024, Sent)
                      end}
                  end
           end,
    Before = rss(Peer),
    suffer(Config, "1 GiB of JSON", Huge, is({too_large, 64 bsl 20}), #{connect => [], by => timeout(?FUNCTION_NAME)}),
    Grown = rss(Peer) - Before,
    ct:pal("~b MiB were sent, the node has grown by ~b KiB", [counters:get(Sent, 1), Grown]),
    ?assert(counters:get(Sent, 1) < 1000),
    %% At most two at a time, each of 64 MiB and what Vec has in reserve; most of it is given back.
    ?assert(Grown < 300_000, Grown).

pour_counted(_Socket, _MiB, 0, _Sent) -> ok;
pour_counted(Socket, MiB, Times, Sent) ->
    case gen_tcp:send(Socket, MiB) of
        ok -> ok = counters:add(Sent, 1, 1), pour_counted(Socket, MiB, Times - 1, Sent);
        {error, _} -> ok
    end.

%% KiB
rss(Peer) ->
    {ok, Text} = file:read_file("/proc/" ++ peer:call(Peer, os, getpid, []) ++ "/status"),
    ["VmRSS:", Value | _] = string:lexemes(binary_to_list(string:find(Text, "VmRSS:")), " \t\n"),
    list_to_integer(Value).
