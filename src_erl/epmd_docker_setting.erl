%% One setting: where its value is looked for, and what may stand in it.
%%
%% Each parser takes a value as it was found, text or term, and answers {ok, Value} or
%% {expected, What}. This runs while kernel starts: no io, no file, no inet:getaddr here.
-module(epmd_docker_setting).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([find/4]).
%% Parsers.
-export([port/1, port_or_any/1, milliseconds/2, one_of/1, text/1, docker_host/1, words/1,
    table_nodes/1]).

-export_type([place/0, source/0, parser/1]).

-type place() :: {os, string()} | {application, atom()} | {kernel, atom()} | {argument, atom()}.
-type source() :: place() | default.
-type parsed(Value) :: {ok, Value} | {expected, iodata()}.
-type parser(Value) :: fun((Raw :: term()) -> parsed(Value)).

?DOC("""
The value of the first of these places that has one, and which place that is. Throws
`t:epmd_docker_options:bad_setting/0` if the value there cannot be used.
""").
-spec find(Key :: atom(), [place()], parser(Value), Default) -> {Value | Default, source()}.
find(Key, Places, Parser, Default) ->
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
%% Parsers
%% ---------------------------------------------------------------------------------------------

?DOC("A port.").
-spec port(term()) -> parsed(inet:port_number()).
port(Raw) -> integer(Raw, 1, 65535, "a port from 1 to 65535").

?DOC("A port, or 0.").
-spec port_or_any(term()) -> parsed(inet:port_number()).
port_or_any(Raw) -> integer(Raw, 0, 65535, "a port from 1 to 65535, or 0 for any").

?DOC("A parser of milliseconds within these bounds.").
-spec milliseconds(pos_integer(), integer()) -> parser(pos_integer()).
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

?DOC("A parser that takes one of these atoms, or its text.").
-spec one_of([Atom]) -> parser(Atom) when Atom :: atom().
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

?DOC("Text that is not empty.").
-spec text(term()) -> parsed(binary()).
text(Raw) when is_atom(Raw) -> text(atom_to_list(Raw));
text([_ | _] = Raw) -> {ok, characters(Raw)};
text(_) -> {expected, "a name"}.

?DOC("Printable text: whether it is an endpoint is for the native library to say.").
-spec docker_host(term()) -> parsed(string()).
docker_host([_ | _] = Raw) ->
    case io_lib:printable_unicode_list(Raw) of
        true -> {ok, Raw};
        false -> docker_host(invalid)
    end;
docker_host(_) ->
    {expected, "unix:///path or tcp://host:port"}.

?DOC("Words: in text with spaces or commas between, or a list of them.").
-spec words(term()) -> parsed([binary()]).
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

?DOC("Entries of the node table: `name@host:port`, as words; or tuples of two or three.").
-spec table_nodes(term()) -> parsed([{Node :: binary(), Host :: binary(), inet:port_number()}]).
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
