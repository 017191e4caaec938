# shellcheck shell=bash
# Progress lines and errors, the same in every script of this project. Sourced by bash, never run.

# Erlang and rebar3 do not start without a HOME, which a CI runner may not set.
export HOME=${HOME:-~}

# Rust's installer puts cargo here, and a shell that is no login shell does not look there.
case ":$PATH:" in
    *":$HOME/.cargo/bin:"*) ;;
    *) PATH=$PATH:$HOME/.cargo/bin ;;
esac
# An ordinary user's PATH on Debian has no sbin, where ip and iptables are.
PATH=$PATH:/usr/sbin:/sbin
export PATH

say() { printf '%s\n' "$*"; }

warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# die STATUS TEXT...
die() {
    local status=$1
    shift
    warn "$@"
    exit "$status"
}

has() { command -v "$1" >/dev/null 2>&1; }

now_ms() { date +%s%3N; }

# seconds START_MS: the time since then, like 1.4 s
seconds() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# part TEXT COMMAND...: a headline, the command's own output, and how long it took.
part() {
    local text=$1 start status=0
    shift
    start=$(now_ms)
    printf '\n== %s\n' "$text"
    "$@" </dev/null || status=$?
    if [ "$status" -eq 0 ]; then
        say "== $text: $(seconds "$start")"
    else
        say "== $text: FAILED after $(seconds "$start")"
    fi
    return "$status"
}

# step TEXT COMMAND...: one line when it starts and how long it took; its output only where it fails.
step() {
    local text=$1 log start status=0 ticker
    shift
    log=$(mktemp)
    start=$(now_ms)
    printf '  %s ...' "$text"
    # A dot now and then, so that a long download does not look like a stop. It waits in read, not
    # in sleep: a killed loop would leave its sleep behind, with the caller's pipe still open. It
    # ends with this script, however that ends.
    (
        n=0
        while kill -0 $$ 2>/dev/null; do
            read -rt 1 _ <&7 || n=$((n + 1))
            if [ $((n % 5)) -eq 0 ]; then printf '.'; fi
        done
    ) 7<> <(:) &
    ticker=$!
    "$@" >"$log" 2>&1 </dev/null || status=$?
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    if [ "$status" -eq 0 ]; then
        printf ' %s\n' "$(seconds "$start")"
    else
        printf ' failed after %s\n' "$(seconds "$start")"
        tail -n 40 "$log" | sed 's/^/    /' >&2
    fi
    rm -f "$log"
    return "$status"
}

# sum_of LOG: adds up the closing lines of cargo test and of Common Test, as rebar3 prints them (in colour).
sum_of() {
    sed 's/\x1b\[[0-9;]*m//g' "$1" | awk '
        /^test result:/ { passed += $4; failures += $6; skipped += $8 }
        /^All [0-9]+ tests passed/ { passed += $2 }
        match($0, /^Failed [0-9]+ tests/) { failures += substr($0, 8) }
        match($0, /Skipped [0-9]+ \([0-9]+, [0-9]+\) tests/) { skipped += substr($0, RSTART + 8) }
        match($0, /Passed [0-9]+ tests/) { passed += substr($0, RSTART + 7) }
        END { printf "%d passed, %d failed, %d skipped\n", passed, failures, skipped }
    '
}

# left_by_dead LIST...: what test runs made that have ended (the label names the process).
left_by_dead() {
    local id pid
    docker "$@" --filter label=epmd_docker.test --format '{{.ID}} {{.Label "epmd_docker.test"}}' 2>/dev/null |
        while read -r id pid; do [ -d "/proc/${pid:-none}" ] || echo "$id"; done
}

# The containers and networks of test runs that were killed.
remove_left_behind() {
    local left
    has docker || return 0
    left=$(left_by_dead ps -a)
    # shellcheck disable=SC2086
    [ -z "$left" ] || docker rm -f -v $left >/dev/null 2>&1 || true
    left=$(left_by_dead network ls)
    # shellcheck disable=SC2086
    [ -z "$left" ] || docker network rm $left >/dev/null 2>&1 || true
}
