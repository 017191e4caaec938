%% `-proto_dist eid_tcp': stock TCP distribution, on port 12345 unless another is set.
-module(eid_tcp_dist).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-define(STOCK, inet_tcp_dist).
-define(FAMILY, inet).
-define(SOCKET_OPTIONS, true).
-include("eid_dist.hrl").
