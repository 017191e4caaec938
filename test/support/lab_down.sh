# shellcheck shell=bash
# How a lab is taken away, whatever state it is in. Sourced by `lab`, which sets net, net6, name, dir and here.
# shellcheck disable=SC2154

# Two ups, or an up and a down, would undo each other's halves. The lock is a directory that is
# there anyway, so nothing stays behind.
lock() {
    exec 9</run
    flock 9
}

# Finds what to remove by name and not by what some file remembers, so it clears after any death.
clear_all() {
    local ns watchdog
    if watchdog=$(cat "$dir/watchdog" 2>/dev/null) && [ "$watchdog" != $$ ] &&
        grep -qz '/lab$' "/proc/$watchdog/cmdline" 2>/dev/null; then
        # Its tail is in the session that it leads.
        kill -- "-$watchdog" 2>/dev/null || true
    fi
    for ns in $(namespaces); do
        end_processes "$ns"
    done
    # Deleting a namespace is asynchronous: the link goes first, so that its name is free at once.
    ip link del "$name" 2>/dev/null || true
    for ns in $(namespaces); do
        ip netns del "$ns" 2>/dev/null || true
    done
    clear_cgroups
    if [ -e "$dir/fence" ]; then ip route del unreachable "$net.0/24" metric 4000 2>/dev/null || true; fi
    if [ -e "$dir/fence6" ]; then ip -6 route del unreachable "$net6::/64" metric 4000 2>/dev/null || true; fi
    rm -rf --one-file-system "$dir"
}

# The init of the pid namespace is among them, and takes containers in other namespaces with it.
end_processes() {
    local n pids
    for ((n = 0; n < 200; n++)); do
        pids=$(ip netns pids "$1" 2>/dev/null) || return 0
        [ -n "$pids" ] || return 0
        # shellcheck disable=SC2086
        kill -9 $pids 2>/dev/null || true
        sleep 0.02
    done
    die 1 "processes in $1 do not end: $pids"
}

# A killed daemon leaves its containers' control groups, wherever its hierarchies had put it. Podman has one
# name for all, and what is in use there is not empty and stays.
clear_cgroups() {
    local group
    find /sys/fs/cgroup -type d \( -name "$name-h*" -o -name libpod_parent \) -prune 2>/dev/null | while read -r group; do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
}

down() {
    local start
    [ "$(id -u)" -eq 0 ] || die 2 "only root can have a lab"
    lock
    if [ -z "$(namespaces)" ] && [ ! -e "$dir" ]; then
        say "lab $net: not up"
        return
    fi
    start=$(now_ms)
    clear_all
    say "lab $net: down in $(seconds "$start")"
}
