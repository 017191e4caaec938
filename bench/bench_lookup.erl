%% A cold lookup in this VM, whole and without its Erlang half, beside a bare client of the same
%% engine. Nothing is answered from memory: each sample is one inspect by the engine.
-module(bench_lookup).
-behaviour(bench).

-export([run/1]).
-export([address_please/2, nif_lookup/1]).

-define(BLOCK, 20).
-define(PAUSE_MS, 1).
-define(TIMEOUT, 4000).

-spec run(bench:context()) -> bench:outcome().
run(#{container := Id, socket := Path, repeat := Repeat, samples := Count} = Context) ->
    ok = bench_httpc:start(Path),
    Series = [
        {address_please, fun() -> address_please("x", Id) end},
        {nif_lookup, fun() -> nif_lookup(iolist_to_binary(["x@", Id])) end},
        {gen_tcp_raw, bare(raw, Path, Id)},
        {gen_tcp_http, bare(http_bin, Path, Id)},
        {httpc, fun() -> httpc(Id) end}
    ],
    Rounds = max(1, Count div ?BLOCK),
    _ = bench_stat:in_rounds(10, ?BLOCK, Series),
    Repetitions = [
        bench:progress(Context, Number, fun() -> repetition(Rounds, Series) end)
     || Number <- lists:seq(1, Repeat)
    ],
    #{repetitions => Repetitions, rows => rows(Repetitions)}.

%% Every series twice: after a pause, as a connection that somebody asks for comes, and one right
%% after the other, which keeps the engine's and the VM's threads spinning for a client that waits
%% in none of its own.
repetition(Rounds, Series) ->
    Paused = [{paused(Name), after_pause(Sample)} || {Name, Sample} <- Series],
    maps:merge(
        bench_stat:in_rounds(Rounds, ?BLOCK, Paused),
        bench_stat:in_rounds(Rounds, ?BLOCK, Series)
    ).

paused(Name) -> list_to_atom("paused_" ++ atom_to_list(Name)).

after_pause(Sample) ->
    fun() ->
        receive after ?PAUSE_MS -> Sample() end
    end.

bare(Packet, Path, Id) ->
    Connection = bench_http:connect(Packet, Path),
    Request = bench_http:request(Id),
    Inspect = fun() -> bench_http:inspect(Connection, Request) end,
    fun() -> element(1, bench_stat:time(Inspect)) end.

httpc(Id) ->
    {Ns, {_, _, _, _}} = bench_stat:time(fun() -> bench_httpc:address(Id) end),
    Ns.

rows(Repetitions) ->
    Of = fun(Name) -> bench:series(Name, Repetitions) end,
    Paused = fun(Name) -> Of(paused(Name)) end,
    Lookup = "cold lookup, whole `address_please/3`",
    Client = "bare kept-alive `gen_tcp` client, same VM, same inspect, `{packet, http_bin}`",
    Raw = "the same with `{packet, raw}` and a 64 KiB buffer",
    Httpc = "`httpc` with a JSON decoder (`jiffy`), the same inspect",
    Target = {at_most, 1.25},
    [
        bench:row(Row)
     || Row <- [
            #{what => [Lookup, ", 1 ms after the one before"], ours => Paused(address_please),
                reference => {Client, Paused(gen_tcp_http)}, target => Target},
            #{what => "the same", ours => Paused(address_please),
                reference => {Raw, Paused(gen_tcp_raw)}, target => Target},
            #{what => "the same", ours => Paused(address_please), faster => true,
                reference => {Httpc, Paused(httpc)}, target => {at_least, 1.3}},
            #{what => "of it, from the NIF call to its answer", ours => Paused(nif_lookup),
                reference => {Raw, Paused(gen_tcp_raw)}},
            #{what => [Lookup, ", one right after the other"], ours => Of(address_please),
                reference => {Client, Of(gen_tcp_http)}, target => Target},
            #{what => "the same", ours => Of(address_please),
                reference => {Raw, Of(gen_tcp_raw)}, target => Target},
            #{what => "the same", ours => Of(address_please), faster => true,
                reference => {Httpc, Of(httpc)}, target => {at_least, 1.3}},
            #{what => "of it, from the NIF call to its answer", ours => Of(nif_lookup),
                reference => {Raw, Of(gen_tcp_raw)}}
        ]
    ].

%% In a process of its own, as a connection is: its end also ends the watch over its handshake.
-spec address_please(string(), string()) -> Ns :: non_neg_integer().
address_please(Name, Host) ->
    {Caller, Monitor} = spawn_monitor(fun() ->
        {Ns, {ok, _, _, _}} = bench_stat:time(fun() ->
            epmd_docker:address_please(Name, Host, inet)
        end),
        exit({ns, Ns})
    end),
    receive
        {'DOWN', Monitor, process, Caller, {ns, Ns}} -> Ns
    end.

-spec nif_lookup(binary()) -> Ns :: non_neg_integer().
nif_lookup(Node) ->
    {Ns, {ok, _}} = bench_stat:time(fun() ->
        Tag = make_ref(),
        {ok, Job} = epmd_docker_nif:lookup(Tag, Node, inet, ?TIMEOUT),
        receive
            %% The job is named again so that it lives until its answer.
            {epmd_docker_nif, Tag, Result} when is_reference(Job) -> Result
        end
    end),
    Ns.
