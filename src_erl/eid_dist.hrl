%% The body of a distribution protocol of this library: its stock twin ?STOCK does all the work,
%% except that select/1 never waits (epmd_docker_select says why). Which functions there are is
%% OTP's business: test/boot_SUITE checks them on each OTP version.

%%
%% Define ?SOCKET_OPTIONS where the twin has setopts/2 and getopts/2 (TCP), ?CHILDSPECS where it
%% has a supervisor of its own (TLS).

-export([
    listen/2,
    accept/1,
    accept_connection/5,
    setup/5,
    close/1,
    select/1,
    address/0,
    is_node_name/1
]).
-ifdef(SOCKET_OPTIONS).
-export([setopts/2, getopts/2]).
-endif.
-ifdef(CHILDSPECS).
-export([childspecs/0]).
-endif.

-spec listen(atom(), string()) -> term().
listen(Name, Host) ->
    ok = epmd_docker_dist:check_epmd_module(),
    ?STOCK:listen(Name, Host).

-spec accept(term()) -> pid().
accept(Listen) -> ?STOCK:accept(Listen).

-spec accept_connection(pid(), term(), node(), term(), term()) -> pid().
accept_connection(AcceptPid, Socket, MyNode, Allowed, SetupTime) ->
    ?STOCK:accept_connection(AcceptPid, Socket, MyNode, Allowed, SetupTime).

-spec setup(node(), term(), node(), longnames | shortnames, term()) -> pid().
setup(Node, Type, MyNode, LongOrShortNames, SetupTime) ->
    ?STOCK:setup(Node, Type, MyNode, LongOrShortNames, SetupTime).

-spec close(term()) -> term().
close(Socket) -> ?STOCK:close(Socket).

-spec select(node()) -> boolean().
select(Node) -> epmd_docker_select:select(Node, ?FAMILY).

-spec address() -> term().
address() -> ?STOCK:address().

-spec is_node_name(term()) -> boolean().
%% inet6_tls_dist has none of its own.
is_node_name(Node) -> dist_util:is_node_name(Node).

-ifdef(SOCKET_OPTIONS).
-spec setopts(term(), list()) -> term().
setopts(Socket, Options) -> ?STOCK:setopts(Socket, Options).

-spec getopts(term(), list()) -> term().
getopts(Socket, Options) -> ?STOCK:getopts(Socket, Options).
-endif.

-ifdef(CHILDSPECS).
-spec childspecs() -> term().
childspecs() -> ?STOCK:childspecs().
-endif.
