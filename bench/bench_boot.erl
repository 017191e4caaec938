%% From the start of `erl' to its end: a distributed node that does nothing, with this library and
%% without. Everything else is the same: no epmd, one fixed port, short names.
-module(bench_boot).
-behaviour(bench).

-export([run/1]).

%% Boots of each kind in one repetition; with seven repetitions 56 of each.
-define(BOOTS, 8).

-spec run(bench:context()) -> bench:outcome().
run(#{repeat := Repeat} = Context) ->
    Port = integer_to_list(bench:free_port()),
    Ebin = bench:library_ebin(),
    NoNif = without_nif(Ebin),
    Module = ["-epmd_module", "epmd_docker"],
    Fixed = [{"ERL_DIST_PORT", Port}],
    Series = [
        {stock, boot(["-erl_epmd_port", Port], [])},
        {stock_with_path, boot(["-pa", Ebin, "-erl_epmd_port", Port], [])},
        {library, boot(["-pa", Ebin | Module], Fixed)},
        {library_without_nif, boot(["-pa", NoNif | Module], Fixed)}
    ],
    _ = bench_stat:in_rounds(2, 1, Series),
    Repetitions = [
        bench:progress(Context, Number, fun() -> bench_stat:in_rounds(?BOOTS, 1, Series) end)
     || Number <- lists:seq(1, Repeat)
    ],
    ok = file:del_dir_r(filename:dirname(NoNif)),
    #{repetitions => Repetitions, rows => rows(Repetitions)}.

%% With an epmd on this machine the stock node would be given its creation, and be spared the 25 ms
%% in which OTP 25 loads crypto to make one: none is to be found by either.
boot(Args, Env) ->
    Erl = os:find_executable("erl"),
    NoEpmd = bench:no_epmd(),
    Same = ["-noinput", "-start_epmd", "false", "-sname", "bench_boot", "-eval", "halt()."],
    fun() ->
        {Ns, ok} = bench_stat:time(fun() -> bench:os_process(Erl, Args ++ Same, NoEpmd ++ Env) end),
        Ns
    end.

%% The modules alone: what is left of the cost is Erlang's.
without_nif(Ebin) ->
    Dir = filename:join([os:getenv("BENCH_TMP"), "without_nif", "ebin"]),
    ok = filelib:ensure_path(Dir),
    [
        {ok, _} = file:copy(File, filename:join(Dir, filename:basename(File)))
     || File <- filelib:wildcard(filename:join(Ebin, "*.{beam,app}"))
    ],
    Dir.

rows(Repetitions) ->
    [Stock, Path, Library, NoNif] = [
        [maps:get(Name, Repetition) || Repetition <- Repetitions]
     || Name <- [stock, stock_with_path, library, library_without_nif]
    ],
    [
        bench:row(#{
            what => "`erl` from start to end with `-epmd_module epmd_docker`",
            ours => Library,
            reference => {"stock `erl`", Stock},
            target => {at_most, 1.05}
        }),
        bench:row(#{
            what => "the same, the fastest tenth: what other load slows down least",
            quantile => 0.1,
            ours => Library,
            reference => {"stock `erl`, the fastest tenth", Stock}
        }),
        bench:row(#{
            what => "the same",
            ours => Library,
            reference => {"stock `erl` with the `-pa` to the library", Path}
        }),
        bench:row(#{
            what => "the same with the native library's file missing",
            ours => NoNif,
            reference => {"stock `erl`", Stock}
        })
    ].
