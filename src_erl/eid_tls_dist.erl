%% `-proto_dist eid_tls': stock TLS distribution, on port 12345 unless another is set.
-module(eid_tls_dist).

-include("epmd_docker.hrl").
?MODULEDOC(false).

-define(STOCK, inet_tls_dist).
-define(FAMILY, inet).
-define(CHILDSPECS, true).
-include("eid_dist.hrl").
