# shellcheck shell=bash
# How a lab comes up. Sourced by `lab`, which sets net, net6, name, dir, switch and here.
# shellcheck disable=SC2154

# --- what this machine must have --------------------------------------------------------------

init_command() {
    command -v tini || command -v docker-init
}

require_machine() {
    local tool reason
    [[ $net =~ ^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$ ]] || die 1 "LAB_NET=$net: give the first three numbers of a /24"
    [ "$(id -u)" -eq 0 ] || die 2 "a second Docker engine needs root"
    for tool in ip iptables nsenter unshare dockerd; do
        has "$tool" || die 2 "a second Docker engine needs $tool on this machine"
    done
    init_command >/dev/null || die 2 "a second Docker engine needs tini or docker-init"
    reason=$(unshare --net --mount --pid --fork true 2>&1) || die 2 "this machine allows no new namespaces ($reason)"
    [ -z "$ipv6" ] || [ -e /proc/net/if_inet6 ] || die 2 "the kernel of this machine has no IPv6"
}

# --- up ---------------------------------------------------------------------------------------

count=2
owner=
patience=0
ipv6=
declare -A engine=() port=() flags=() tls=()
[ -z "${LAB_ENGINE-}" ] || engine[all]=$LAB_ENGINE

# option NAME VALUE: VALUE is I=... for one host, or stands for all of them.
option() {
    local key=all value=$2
    if [[ $2 =~ ^([0-9]+)=(.*)$ ]]; then
        key=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    fi
    case $1 in
        --engine)
            [ -d "$value" ] || die 1 "--engine: no folder $value"
            engine[$key]=$(cd "$value" && pwd)
            ;;
        --port) port[$key]=$value ;;
        --flag) flags[$key]+=" $value" ;;
        --tls)
            [ -e "$value/ca.pem" ] || die 1 "--tls: no $value/ca.pem"
            tls[$key]=$(cd "$value" && pwd)
            ;;
    esac
}

parse_up() {
    while [ $# -gt 0 ]; do
        if [ "$1" = --ipv6 ]; then
            ipv6=yes
            shift
            continue
        fi
        [ $# -ge 2 ] || die 1 "up: $1 needs a value"
        case $1 in
            --hosts) count=$2 ;;
            --owner) owner=$2 ;;
            --wait) patience=$2 ;;
            --engine | --port | --flag | --tls) option "$1" "$2" ;;
            *) die 1 "up: what is $1?" ;;
        esac
        shift 2
    done
    [[ $count =~ ^([1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|250)$ ]] || die 1 "--hosts: 1 to 250"
}

# living_owner: who has this lab now; its own owner may bring it up anew.
living_owner() {
    local pid
    pid=$(cat "$dir/owner" 2>/dev/null) || return 1
    [ -n "$pid" ] && [ "$pid" != "$owner" ] && [ -d "/proc/$pid" ] && echo "$pid"
}

claim() {
    local pid start=$SECONDS
    lock
    while pid=$(living_owner); do
        if [ $((SECONDS - start)) -ge "$patience" ]; then
            die 3 "lab $net is in use by process $pid ($(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-60)): set LAB_NET, such as LAB_NET=10.99.1"
        fi
        flock -u 9
        sleep 0.5
        flock 9
    done
    # Namespaces are named in /run, so a lab that another root file system or container brought up on
    # this network shows by its interface only. Taking that away would send its traffic elsewhere.
    if [ -z "$(namespaces)" ] && ip link show "$name" >/dev/null 2>&1; then
        die 3 "lab $net is up from another root file system: set LAB_NET (a dead one goes by: ip link del $name)"
    fi
    clear_all
    mkdir -p "$dir"
    echo "$owner" >"$dir/owner"
}

# While a lab is down its addresses would leave by the default route: the fence keeps them here.
# A range that this machine reaches another way is not ours to take.
fence() {
    local others
    others=$(ip route show | awk -v p="$net." '{a = ($1 == "unreachable") ? $2 : $1} index(a, p) == 1 && $1 != "unreachable"')
    [ -z "$others" ] || die 1 "$net.0/24 is in use on this machine ($others): set LAB_NET to a free range"
    # One that was there before stays when the lab goes.
    if ip route add unreachable "$net.0/24" metric 4000 2>/dev/null; then : >"$dir/fence"; fi
    [ -n "$ipv6" ] || return 0
    if ip -6 route add unreachable "$net6::/64" metric 4000 2>/dev/null; then : >"$dir/fence6"; fi
}

# address NS|- INTERFACE I: I's addresses in the lab. Without nodad nobody can listen on an IPv6 address
# for the second or two in which the kernel looks for a duplicate.
address() {
    local at=()
    [ "$1" = - ] || at=(-n "$1")
    ip "${at[@]}" addr add "$net.$3/24" dev "$2"
    [ -z "$ipv6" ] || ip "${at[@]}" addr add "$net6::$3/64" dev "$2" nodad
}

build_switch() {
    ip netns add "$switch"
    # A bridge in this namespace would meet the main engine's FORWARD rules, which drop.
    ip -n "$switch" link add br0 type bridge
    ip -n "$switch" link set br0 up
    ip link add "$name" type veth peer name p254 netns "$switch"
    address - "$name" 254
    ip link set "$name" up
    ip -n "$switch" link set p254 master br0 up
}

plug_in() {
    local i=$1 ns
    ns=$(host_ns "$i")
    ip netns add "$ns"
    ip -n "$ns" link set lo up
    ip link add eth0 netns "$ns" type veth peer name "p$i" netns "$switch"
    address "$ns" eth0 "$i"
    ip -n "$ns" link set eth0 up
    ip -n "$switch" link set "p$i" master br0 up
}

# engine_path DIR: where an unpacked engine keeps its programs.
engine_path() {
    local sub
    for sub in usr/local/bin usr/bin usr/sbin bin sbin .; do
        if [ -d "$1/$sub" ]; then printf '%s:' "$1/$sub"; fi
    done
}

# A root with Podman in it (test/support/podman) makes a host whose API is Podman's: it is entered, since
# nothing of Podman needs to be on this machine. /run/docker.sock is a link there, as Debian's podman-docker
# has it. On port 4244 it ends when it has been idle, and comes back, as where systemd starts it.
write_podman_boot() {
    local d=$dir/d$1 root=$2
    cat >"$d/boot" <<BOOT
set -e
hostname host$1
mount --bind $root $root
mkdir -p $root/old
mount -t proc proc $root/proc
mount --rbind /sys $root/sys
mount --rbind /dev $root/dev
mount --bind $d/run $root/run
mount --bind $d/data $root/var/lib/containers
cd $root
pivot_root . old
umount -l /old
cd /
ln -s podman/podman.sock /run/docker.sock
mkdir -p /run/podman
echo 1 >/proc/sys/net/ipv4/ip_forward
podman system service --time=0 unix:///run/podman/podman.sock &
while podman system service --time=3 tcp://$net.$1:4244; do :; done &
exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    tini -- podman system service --time=0 $(endpoint "$1")
BOOT
}

# The script that becomes a host: own /run, data and configuration, then an init, so that killing
# the one outer process ends the daemon, its containers and all its mounts.
write_boot() {
    local i=$1 d=$dir/d$1 path=${engine[$1]-${engine[all]-}} second=${ipv6:+-H $(endpoint6 "$1")}
    if [ -x "$path/usr/bin/podman" ]; then
        write_podman_boot "$i" "$path"
        return
    fi
    local certs=${tls[$1]-${tls[all]-}} secure=--tls=false
    if [ -n "$certs" ]; then
        secure="--tlsverify --tlscacert=$certs/ca.pem --tlscert=$certs/$net.$i.pem --tlskey=$certs/$net.$i.key"
    fi
    cat >"$d/boot" <<BOOT
set -e
hostname host$i
mkdir -p /var/lib/docker /etc/docker
mount --bind $d/run /run
mount --bind $d/data /var/lib/docker
mount --bind $d/etc /etc/docker
PATH=${path:+$(engine_path "$path")}$PATH
export PATH
exec $(init_command) -- dockerd -H unix:///run/docker.sock -H $(endpoint "$i") $second $secure \\
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent=$(host_ns "$i")${flags[all]-}${flags[$i]-}
BOOT
}

start_host() {
    local i=$1 d=$dir/d$1
    mkdir -p "$d"/{data,run,etc}
    local default=4243
    if [ -n "${tls[$i]-${tls[all]-}}" ]; then
        default=2376
        : >"$d/tls"
    fi
    echo "${port[$i]-${port[all]-$default}}" >"$d/port"
    write_boot "$i"
    # `ip netns exec` would remount /sys, and dockerd does not survive that.
    nsenter --net="/run/netns/$(host_ns "$i")" \
        setsid unshare --mount --pid --uts --fork --kill-child --mount-proc sh "$d/boot" \
        </dev/null >"$d/log" 2>&1 9<&- &
}

answers() {
    local line
    exec 8<>"/dev/tcp/$net.$1/$(port_of "$1")" || return 1
    printf 'GET /_ping HTTP/1.0\r\n\r\n' >&8
    read -rt 1 line <&8 || line=
    exec 8>&-
    # A daemon with TLS says 400 to those who speak without.
    [[ $line == *" 200 "* ]] || [[ -e $dir/d$1/tls && $line == *" 400 "* ]]
} 2>/dev/null

# A slow machine takes seconds, a wrong flag ends the daemon at once.
await_host() {
    local i=$1 n
    for ((n = 0; n < 600; n++)); do
        (answers "$i") && return
        if [ "$n" -gt 4 ] && [ -z "$(ip netns pids "$(host_ns "$i")")" ]; then break; fi
        sleep 0.05
    done
    tail -n 5 "$dir/d$i/log" >&2
    return 1
}

# The watchdog takes the lab down when its owner has ended, even by kill -9.
watch_owner() {
    [ -n "$owner" ] || return 0
    LAB_NET=$net setsid "$here/lab" watch "$owner" </dev/null >/dev/null 2>&1 9<&- &
    echo $! >"$dir/watchdog"
}

watch() {
    tail -s 0.3 --pid="$1" -f /dev/null
    lock
    # Another run may have the lab by now.
    [ "$(cat "$dir/owner" 2>/dev/null)" = "$1" ] || exit 0
    rm -f "$dir/watchdog"
    clear_all
}

up() {
    local i start
    parse_up "$@"
    require_machine
    [ -z "$owner" ] || [ -d "/proc/$owner" ] || die 1 "--owner $owner: no such process"
    start=$(now_ms)
    claim
    trap 'clear_all' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    echo "$count" >"$dir/hosts"
    fence
    build_switch
    for ((i = 1; i <= count; i++)); do
        plug_in "$i"
        start_host "$i"
    done
    for ((i = 1; i <= count; i++)); do
        await_host "$i" || die 1 "host $i of lab $net does not answer on $(endpoint "$i"); its log is above"
    done
    watch_owner
    trap - EXIT INT TERM HUP
    say "lab $net: $count hosts up in $(seconds "$start")"
}
