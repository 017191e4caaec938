%% Terms for prop_SUITE: what a caller could mistake for an argument, and what nobody would.
%%
%% PropEr is called by its functions and not through proper.hrl: the other suites compile on a machine
%% without it.
-module(prop_gen).

-export([arguments/2, term/0, reason/0, report/0, text/1]).

-define(ID, "f63bfb5ff4df050105a5983e749b8dd78d4c011131a3f97eb1043e89e766a68b").

%% For a function: each of any kind, or each nearly as it should be.
-spec arguments(atom(), arity()) -> proper_types:type().
arguments(Function, Arity) ->
    Any = proper_types:vector(Arity, term()),
    case shape(Function, Arity) of
        any -> Any;
        Shape -> proper_types:frequency([{1, Any}, {2, [nearly(Kind) || Kind <- Shape]}])
    end.

shape(address_please, 3) -> [part, part, family];
shape(port_please, 2) -> [part, part];
shape(port_please, 3) -> [part, part, time];
shape(register_node, 2) -> [part, port];
shape(register_node, 3) -> [part, port, family];
shape(register, 3) -> [part, port, family];
shape(known, 3) -> [part, part, family];
shape(find, 4) -> [part, part, family, time];
shape(select, 3) -> [part, part, family];
shape(port, 2) -> [part, part];
shape(names, 1) -> [part];
shape(resolve, 1) -> [text];
shape(add_node, 2) -> [text, port];
shape(add_node, 3) -> [text, part, port];
shape(set_nodes, 1) -> [entries];
shape(subscribe, 1) -> [subscription];
shape(lookup, 4) -> [term, text, family, time];
shape(locate, 5) -> [term, part, port, family, time];
shape(peek, 2) -> [text, family];
shape(address, 2) -> [text, family];
shape(table_add, 3) -> [text, part, port];
shape(_, _) -> any.

nearly(term) -> leaf();
nearly(Kind) -> proper_types:frequency([{9, of_kind(Kind)}, {1, leaf()}]).

of_kind(part) -> proper_types:bind({part(), proper_types:oneof([string, string, binary])}, fun text/1, false);
of_kind(text) -> text();
of_kind(family) -> proper_types:oneof([inet, inet6]);
of_kind(port) -> proper_types:range(1, 65535);
of_kind(time) -> proper_types:range(0, 50);
of_kind(entries) -> entries();
of_kind(subscription) -> subscription().

-spec term() -> proper_types:type().
term() ->
    proper_types:frequency([
        {6, proper_types:oneof(constants())},
        {3, text()},
        {2, proper_types:any()},
        {1, tuple()},
        {1, entries()},
        {1, query()},
        {1, subscription()},
        {1, reason()},
        {1, report()}
    ]).

constants() ->
    [
        undefined, infinity, inet, inet6, true, false, on_host, in_container, epmd, normal, 'a@b', 'app@web', '@',
        0, 1, -1, 12345, 65535, 65536, 1 bsl 64, 1 bsl 70, -(1 bsl 70), 1.5, -0.0,
        [], {}, #{}, "", <<>>, <<1:3>>, [1 | 2], [[]], [a], [16#110000], [16#D800], <<255>>, <<0>>, "~p~s", [$a | <<"b">>],
        {127, 0, 0, 1}, {256, 0, 0, 0}, {1, 2, 3}, {0, 0, 0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 65535, 32512, 1}, {a, b},
        "app@web", <<"app@web">>, "0123456789ab@127.0.0.1", <<"0123456789ab@127.0.0.1">>, ?ID "@127.0.0.1",
        "web", <<"web">>, "127.0.0.1", "::1", "localhost", ["a", $@, <<"b">>], lists:duplicate(300, $a), lists:duplicate(300, $é),
        self(), make_ref(), fun erlang:node/0, fun erlang:abs/1, fun erlang:max/2
    ].

%% Names, hosts and what is nearly one, as a string, a binary or in pieces.
part() ->
    proper_types:oneof(["a", "app", "web", ?ID, "0123456789ab", "127.0.0.1", "203.0.113.7", "::1", "[::1]", "h.example",
        "..", "/", "a/b", "?x", "#", "%2e", " ", "\r\nx: y", [0], [8364], "~p", "-", "_", proper_types:string()]).

text() ->
    Part = part(),
    Join = fun(Parts) -> lists:append(Parts) end,
    Names = proper_types:bind([Part, proper_types:oneof(["@", "", "@@", ":"]), Part], Join, false),
    proper_types:bind({Names, proper_types:oneof([string, binary, latin1, pieces])}, fun text/1, false).

%% The same text in another form.
-spec text({string(), string | binary | latin1 | pieces}) -> term().
text({Text, string}) -> Text;
text({Text, pieces}) -> [[C] || C <- Text];
text({Text, latin1}) -> << <<C>> || C <- Text >>;
text({Text, binary}) ->
    case unicode:characters_to_binary(Text) of
        Binary when is_binary(Binary) -> Binary;
        _ -> <<255, 254>>
    end.

leaf() -> proper_types:frequency([{3, proper_types:oneof(constants())}, {1, proper_types:any()}, {1, text()}]).

tuple() ->
    Tag = proper_types:oneof([ok, error, found, table, said, 'DOWN', epmd_docker_nif, address, leaf()]),
    proper_types:bind([Tag | [leaf() || _ <- [1, 2, 3]]], fun(L) -> list_to_tuple(L) end, false).

%% What set_nodes/1 takes.
entries() ->
    proper_types:list(proper_types:oneof([
        {text(), leaf()}, {text(), leaf(), leaf()}, {text(), proper_types:range(1, 65535)}, leaf()])).

%% What internal modules hand to each other.
query() ->
    map([{node, text()}, {name, text()}, {host, text()}, {family, proper_types:oneof([inet, inet6, leaf()])}, {flags, #{}},
        {deadline, proper_types:oneof([0, leaf()])}, {kind, leaf()}, {address, leaf()}, {port, leaf()}, {via, leaf()}]).

subscription() -> map([{host, leaf()}, {project, leaf()}]).

%% {what format_error/1 has a sentence for, and anything in it}
-spec reason() -> proper_types:type().
reason() ->
    Tags = [not_running, ambiguous, not_published, loopback_only, no_network, host_not_allowed, bad_node_name, bad_host,
        bad_subscription, bad_port, connect, tls, status, bad_response, too_large, not_in_epmd, dns, nif_not_loaded, bad_setting],
    proper_types:bind({proper_types:oneof(Tags), proper_types:list(leaf())},
        fun({Tag, Rest}) -> list_to_tuple([Tag | Rest]) end, false).

%% A log event.
-spec report() -> proper_types:type().
report() ->
    Whats = [nif_not_loaded, port_taken, other_name, no_handshake, name_domain, epmd_unreachable, bad_setting, context_ignored,
        not_watched, lookup_failed, crash],
    Keys = [detail, port, asked, actual, node, address, why, needs, reason, line, context, daemon, where, found],
    map([{what, proper_types:oneof(Whats)} | [{Key, proper_types:oneof([leaf(), reason()])} || Key <- Keys]]).

%% Some of these keys, or all.
map(Pairs) ->
    All = [{Key, {proper_types:boolean(), Value}} || {Key, Value} <- Pairs],
    proper_types:bind({proper_types:boolean(), All}, fun({Whole, Given}) ->
        maps:from_list([{Key, Value} || {Key, {Some, Value}} <- Given, Whole orelse Some])
    end, false).
