%% Builds the Dockerfiles under examples/ from images made here (test/support/base_images).
-module(base_images).

-export([build/3, remove/1, remove_containers/1]).

-define(KINDS, ["rust", "erlang", "plain"]).
-define(NAME(Kind, Tag), Tag ++ "-" ++ Kind).

%% The Dockerfile's arguments RUST and ERLANG are always stand-ins; Base is plain, erlang, or a tag.
-spec build(file:filename(), Tag :: string(), Base :: string()) -> ok.
build(Dockerfile, Tag, Base) ->
    [{ok, _} = testbed:sh([script(), Kind, ?NAME(Kind, Tag)]) || Kind <- ?KINDS],
    BaseTag =
        case lists:member(Base, ?KINDS) of
            true -> ?NAME(Base, Tag);
            false -> Base
        end,
    Arguments = [
        ["--build-arg", Name ++ "=" ++ Image]
     || {Name, Image} <- [{"RUST", ?NAME("rust", Tag)}, {"ERLANG", ?NAME("erlang", Tag)}, {"BASE", BaseTag}]
    ],
    _ = testbed:docker(main, ["build", "-f", Dockerfile, "-t", Tag] ++ lists:append(Arguments) ++ ["."]),
    ok.

%% The image, the ones that it came from, and the stages between: those have the label of theirs.
-spec remove(Tag :: string()) -> ok.
remove(Tag) ->
    ok = remove_containers(Tag),
    _ = testbed:try_docker(main, ["rmi", "-f", Tag | [?NAME(Kind, Tag) || Kind <- ?KINDS]]),
    [
        testbed:try_docker(main, ["image", "prune", "-f", "--filter", "label=epmd_docker.base=" ++ ?NAME(Kind, Tag)])
     || Kind <- ?KINDS
    ],
    ok.

%% The containers that run the image.
-spec remove_containers(Tag :: string()) -> ok.
remove_containers(Tag) ->
    case testbed:try_docker(main, ["ps", "-aq", "--filter", "ancestor=" ++ Tag]) of
        {ok, [_ | _] = Ids} ->
            _ = testbed:try_docker(main, ["rm", "-f", "-v" | string:lexemes(Ids, "\n")]),
            ok;
        _ ->
            ok
    end.

script() -> filename:join([testbed:root(), "test", "support", "base_images"]).
