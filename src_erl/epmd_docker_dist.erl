%% `-proto_dist epmd_docker': stock TCP distribution, under the name that older set-ups use.
-module(epmd_docker_dist).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-export([check_epmd_module/0]).

-define(STOCK, inet_tcp_dist).
-define(FAMILY, inet).
-define(SOCKET_OPTIONS, true).
-include("eid_dist.hrl").

?DOC("Says so in the log when one of our protocols runs without our epmd module.").
-spec check_epmd_module() -> ok.
check_epmd_module() ->
    case net_kernel:epmd_module() of
        epmd_docker -> ok;
        _ -> ?LOG_WARNING(#{what => epmd_module_missing}, ?LOG_META)
    end.
