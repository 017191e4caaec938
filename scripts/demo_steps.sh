# shellcheck shell=bash
# What the demo shows. Sourced by `demo`, which sets image, label, cookie, library, top, engine and the hosts.
# shellcheck disable=SC2154

# Parallel lists, one place for each node of the cluster.
nodes=() ids=() node_hosts=()

# --- one host only ----------------------------------------------------------------------------

# A node named ContainerId@HostAddr has the daemon of HostAddr asked over TCP. The main engine
# listens on a socket file, so a small read-only proxy in a container stands in front of it.
use_main_engine() {
    local socket gateway proxy
    say "  one Docker host, this machine's engine: $1"
    mode=main
    case ${DOCKER_HOST:-unix:///var/run/docker.sock} in
        unix://*) socket=${DOCKER_HOST:-unix:///var/run/docker.sock} ;;
        *) die 1 "DOCKER_HOST=$DOCKER_HOST is another machine: the one-host demo needs an engine here" ;;
    esac
    # `docker network inspect bridge` does not name the gateway on every engine; a container knows.
    proxy=$(docker run -d --pull=never --label "$label" "$image" sleep 60)
    gateway=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}' "$proxy")
    docker rm -f "$proxy" >/dev/null
    [ -n "$gateway" ] || die 1 "the bridge network has no gateway here: the one-host demo needs one"
    addresses=("$gateway")
    # Copied and not mounted: this may run where the engine does not see these files.
    proxy=$(docker create --pull=never --label "$label" -p "$gateway:4243:4243" \
        -v "${socket#unix://}:/docker.sock" "$image" escript /read_only_proxy.escript /docker.sock 4243)
    docker cp "$top/examples/demo/read_only_proxy.escript" "$proxy:/" >/dev/null
    docker start "$proxy" >/dev/null || die 1 "no proxy for the Docker API at $gateway:4243; is that port in use?"
    await "the proxy for the Docker API" docker -H "tcp://$gateway:4243" version
    say "  a read-only proxy for its API at tcp://$gateway:4243"
}

# --- the cluster ------------------------------------------------------------------------------

# start_node HOST: what a user types, except that the container finds its own id in its hostname.
start_node() {
    local host=$1 id address=${addresses[$1]}
    # shellcheck disable=SC2016
    id=$(engine "$host" run -d --pull=never --label "$label" -p 12345 -e ERL_LIBS=/opt "$image" sh -c '
        exec erl -noinput -start_epmd false -epmd_module epmd_docker -proto_dist eid_tcp \
            -name "$(hostname)@$0" -setcookie "$1"' "$address" "$cookie")
    ids+=("$id")
    nodes+=("${id:0:12}@$address")
    node_hosts+=("$host")
}

# ask NODE_INDEX EXPRESSION: evaluate it in that node. It reaches the node from inside its container,
# by its port, so no other Erlang node takes part.
ask() {
    printf '%s.\n' "$2" | engine "${node_hosts[$1]}" exec -i "${ids[$1]}" \
        erl_call -address 127.0.0.1:12345 -timeout 20 -c "$cookie" -fetch_stdout -no_result_term -e
}

published() { engine "${node_hosts[$1]}" port "${ids[$1]}" 12345/tcp | head -n 1 | sed 's/.*://'; } 2>/dev/null

# await TEXT COMMAND...: until it succeeds, for 20 s at most.
await() {
    local text=$1 end=$((SECONDS + 20))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || die 1 "$text: not within 20 s"
        sleep 0.1
    done
}

is_ready() { [ "$(ask "$1" 'io:format("~s", [node()])')" = "${nodes[$1]}" ]; }

peers_of() { ask "$1" '[io:format("~s~n", [N]) || N <- lists:sort(nodes())]'; }

sees_all() { [ "$(peers_of "$1" | wc -l)" -eq $((${#nodes[@]} - 1)) ]; }

start_nodes() {
    local host i
    for host in "${!addresses[@]}"; do
        start_node "$host"
        start_node "$host"
    done
    # Three make a mesh; two on one host would only be a pair.
    [ "${#nodes[@]}" -gt 2 ] || start_node 0
    for i in "${!nodes[@]}"; do
        await "node ${nodes[$i]} starts" is_ready "$i"
        say "  ${nodes[$i]}   published at ${addresses[${node_hosts[$i]}]}:$(published "$i")"
    done
}

# join: every newcomer names one node, as an application does with its seed. Nobody adds anything.
join() {
    local i answer start
    start=$(now_ms)
    for ((i = 1; i < ${#nodes[@]}; i++)); do
        answer=$(ask "$i" "io:format(\"~s\", [net_adm:ping('${nodes[0]}')])")
        say "  ${nodes[$i]}> net_adm:ping('${nodes[0]}').   $answer"
        [ "$answer" = pong ] || die 1 "no connection; see: docker logs ${ids[$i]}"
    done
    for i in "${!nodes[@]}"; do
        await "a full mesh" sees_all "$i"
    done
    say "  a full mesh after $(seconds "$start")"
}

# who_sees NODE_INDEX: its peers, each with the address and port of the connection.
who_sees() {
    local peer at i how
    say "  ${nodes[$1]} sees"
    ask "$1" '{ok, All} = net_kernel:nodes_info(),
        [io:format("~s ~s:~b~n", [N, inet:ntoa(Ip), Port])
         || {N, I} <- lists:sort(All), lists:member(N, nodes()), {address, A} <- I,
            {Ip, Port} <- [element(2, A)]]' |
        while read -r peer at; do
            how="it called us from there"
            for i in "${!nodes[@]}"; do
                if [ "$peer" = "${nodes[$i]}" ] && [ "${at##*:}" = "$(published "$i")" ]; then
                    how="called by us, where Docker says"
                fi
            done
            printf '      %-28s %-22s %s\n' "$peer" "$at" "$how"
        done
}

# no_epmd: by the names of the processes in each container.
no_epmd() {
    local i
    for i in "${!nodes[@]}"; do
        # shellcheck disable=SC2016
        engine "${node_hosts[$i]}" exec "${ids[$i]}" sh -c '
            for p in /proc/[0-9]*/comm; do
                # A process may end while this looks at it.
                read -r name 2>/dev/null <"$p" || continue
                [ "$name" != epmd ] || exit 1
            done' ||
            die 1 "an epmd runs in ${ids[$i]}"
    done
    say "  no epmd in any of the ${#nodes[@]} containers"
}

show_cluster() {
    local i
    say ""
    say "== A cluster over ${#addresses[@]} Docker host(s): ContainerId@HostAddr"
    start_nodes
    join
    for i in "${!nodes[@]}"; do
        who_sees "$i"
    done
    no_epmd
}

show_restart() {
    local last=$((${#nodes[@]} - 1)) before
    before=$(published "$last")
    say ""
    say "== docker restart gives a new published port"
    engine "${node_hosts[$last]}" restart -t 2 "${ids[$last]}" >/dev/null
    await "node ${nodes[$last]} starts again" is_ready "$last"
    say "  ${nodes[$last]}   was at port $before, is at $(published "$last")"
    say "  ${nodes[0]}> net_adm:ping('${nodes[$last]}').   $(ask 0 "io:format(\"~s\", [net_adm:ping('${nodes[$last]}')])")"
    who_sees 0
}

# --- a shell from the host --------------------------------------------------------------------

# type_in COMMAND LINE...: each line at its prompt, in a terminal, as a person would.
type_in() {
    local command=$1 line n=1
    shift
    coproc TERMINAL { TERM=xterm exec script -qec "$command" /dev/null 2>&1; }
    for line in "$@"; do
        up_to_prompt "$n" || die 1 "no prompt from: $command"
        printf '%s\n' "$line" >&"${TERMINAL[1]}"
        n=$((n + 1))
    done
    up_to_prompt "$n" || die 1 "no answer from: $command"
    say ""
    # Not q(): in a remote shell that stops the remote node.
    kill "$TERMINAL_PID" 2>/dev/null || true
    wait "$TERMINAL_PID" 2>/dev/null || true
}

# up_to_prompt N: what the shell shows until its Nth prompt (node)N>, which newer OTP may draw again.
up_to_prompt() {
    local piece
    while IFS= read -rt 15 -d '>' piece <&"${TERMINAL[0]}"; do
        printf '%s>' "$piece"
        if [[ $piece == *")$1" ]]; then return 0; fi
    done
    return 1
}

# as_text: a terminal's output without its escape codes, and without lines that it drew twice.
as_text() { sed 's/\x1b\[[0-9;]*[A-Za-z]//g; s/\r/\n/g' | sed -n 's/ *$//; /./s/^/      /p' | uniq; }

# probe: what the shell's node does underneath, as a program would do it.
probe() {
    # shellcheck disable=SC2086
    ERL_LIBS=$top/_build/default/lib timeout -s KILL 30 erl $shell_flags -noinput -sname probe \
        -setcookie "$cookie" -eval "
            true = net_kernel:connect_node('$app'),
            {ok, Info} = net_kernel:node_info('$app', address),
            {Ip, Port} = element(2, Info),
            io:format(\"  ~s> net_kernel:connect_node('$app').   true~n\", [node()]),
            io:format(\"      $app   ~s:~b   address from Docker, port from the container's epmd~n\",
                [inet:ntoa(Ip), Port]),
            halt()."
}

is_app_ready() { docker exec "$1" epmd -names | grep '^name app '; }

show_shell() {
    local id
    say ""
    say "== From the host into a container: Name@ContainerRef"
    id=$(docker run -d --pull=never --label "$label" "$image" erl -noinput -sname app -setcookie "$cookie")
    app=app@${id:0:12}
    shell_command="ERL_LIBS=$top/_build/default/lib erl $shell_flags -sname shell -setcookie $cookie -remsh $app"
    say "  in the container:  erl -sname app -setcookie $cookie      (it is $app, nothing is published)"
    say "  on the host:       $shell_command"
    await "node $app starts" is_app_ready "$id"
    type_in "$shell_command" 'node().' 'nodes().' | as_text
    probe || die 1 "no connection to $app; see: docker logs ${id:0:12}"
}

look_around() {
    local i url=
    say ""
    say "Left up. To look around:"
    say "  # a shell in $app, from here"
    say "  $shell_command"
    if [ "$mode" = lab ]; then
        # The cluster cannot call this shell back, and global cuts nodes off that are seen by some
        # only: hidden, it is no part of that.
        say "  # a shell in ${nodes[0]}, from here"
        say "  ERL_LIBS=$top/_build/default/lib erl $shell_flags -hidden -name shell@${addresses[0]%.*}.254 -setcookie $cookie -remsh ${nodes[0]}"
    fi
    say "  # what each node logs (restart in place of logs gives it a new port)"
    for i in "${!nodes[@]}"; do
        if [ "$mode" = lab ]; then url=" -H tcp://${addresses[${node_hosts[$i]}]}:4243"; fi
        say "  docker$url logs ${ids[$i]:0:12}"
    done
    say "and then: ${LAB_NET:+LAB_NET=$LAB_NET }make demo-down"
}
