%% What Erlang code would do by itself to ask Docker: httpc, a kept-alive connection to the engine's
%% unix socket, and a JSON decoder (jiffy, which is in C: OTP has none before 27).
-module(bench_httpc).

-export([start/1, address/1]).

-spec start(file:filename()) -> ok.
start(Socket) ->
    {ok, _} = application:ensure_all_started(inets),
    _ = inets:start(httpc, [{profile, ?MODULE}]),
    ok = httpc:set_options([{ipfamily, local}, {unix_socket, Socket}], ?MODULE).

%% The container's address on the default network.
-spec address(string()) -> inet:ip_address().
address(Container) ->
    Url = "http://docker/v1.41/containers/" ++ Container ++ "/json",
    {ok, {{_, 200, _}, _, Body}} =
        httpc:request(get, {Url, []}, [{timeout, 5000}], [{body_format, binary}], ?MODULE),
    #{<<"NetworkSettings">> := #{<<"IPAddress">> := Text}} = jiffy:decode(Body, [return_maps]),
    {ok, Address} = inet:parse_address(binary_to_list(Text)),
    Address.
