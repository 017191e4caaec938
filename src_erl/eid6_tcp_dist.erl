%% `-proto_dist eid6_tcp': stock TCP distribution over IPv6, on port 12345 unless another is set.
-module(eid6_tcp_dist).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-define(STOCK, inet6_tcp_dist).
-define(FAMILY, inet6).
-define(SOCKET_OPTIONS, true).
-include("eid_dist.hrl").
