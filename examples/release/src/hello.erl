%% Answers who it is, so that a call from elsewhere has something to show.
-module(hello).
-behaviour(gen_server).

-export([start_link/0, who/0]).
-export([init/1, handle_call/3, handle_cast/2]).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% {Node, epmd module in use}
who() ->
    gen_server:call(?MODULE, who).

init([]) ->
    {ok, no_state}.

handle_call(who, _From, State) ->
    {reply, {node(), net_kernel:epmd_module()}, State}.

handle_cast(_Request, State) ->
    {noreply, State}.
