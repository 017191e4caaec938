%% The other end of bench_traffic, in a node in a container.
-module(bench_sink).

-export([loop/0]).

-spec loop() -> no_return().
loop() ->
    receive
        {load, _} -> loop();
        {whole, From} -> From ! {self(), got}, loop()
    end.
