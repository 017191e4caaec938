%% `-proto_dist eid6_tls': stock TLS distribution over IPv6, on port 12345 unless another is set.
-module(eid6_tls_dist).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-define(STOCK, inet6_tls_dist).
-define(FAMILY, inet6).
-define(CHILDSPECS, true).
-include("eid_dist.hrl").
