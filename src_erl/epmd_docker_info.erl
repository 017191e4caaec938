%% What info/0 tells.
-module(epmd_docker_info).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([all/0]).

-export_type([info/0]).

-type info() :: #{
    %% By name, with `sources'; or the one that cannot be used.
    settings := epmd_docker_options:options() | #{bad_setting := string()},
    library := loaded | {nif_not_loaded, Detail :: binary()},
    library_path := file:filename(),
    %% The local one first: its endpoint, state, requests, reconnects, what is known of it.
    daemons := [map()],
    lookups := epmd_docker_stats:counts(),
    %% Entries of the node table.
    nodes := non_neg_integer(),
    self := term()
}.

?DOC("See `epmd_docker:info/0`.").
-spec all() -> info().
all() ->
    {Library, Daemons} = library(epmd_docker_nif:daemons()),
    #{settings => settings(), library => Library, library_path => epmd_docker_nif:path(),
        daemons => Daemons, lookups => epmd_docker_stats:counts(), nodes => entries(epmd_docker_table:list()),
        self => epmd_docker_self:name_and_port()}.

settings() ->
    case epmd_docker_options:current() of
        {ok, Options} -> Options;
        {error, Bad} -> #{bad_setting => epmd_docker_options:format_error(Bad)}
    end.

library({error, Reason}) -> {Reason, []};
library(Daemons) -> {loaded, Daemons}.

entries({error, _}) -> 0;
entries(Table) -> length(Table).
