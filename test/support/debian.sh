# shellcheck shell=bash
# What another Debian suite has, without telling this machine's apt about that suite. Sourced after
# scripts/lib.sh.

# Where what was fetched is kept.
cache_dir() { echo "${XDG_CACHE_HOME:-$HOME/.cache}/epmd_docker"; }

mirror() {
    local url
    url=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/*.sources 2>/dev/null) || true
    [ -n "$url" ] || url=$(awk '$1 == "deb" && $2 ~ /^http/ {print $2; exit}' /etc/apt/sources.list 2>/dev/null) || true
    echo "${url:-http://deb.debian.org/debian}"
}

# new_root SUITE DIR [PACKAGE,...]: a whole small system, with these packages and what they need.
new_root() {
    local suite=$1 dir=$2 script=
    # A suite that is younger than this debootstrap is built like sid.
    [ -e "/usr/share/debootstrap/scripts/$suite" ] || script=/usr/share/debootstrap/scripts/sid
    # shellcheck disable=SC2086
    debootstrap --variant=minbase ${3:+"--include=$3"} "$suite" "$dir" "$(mirror)" $script
}

# keep_root ROOT CONTENT TEXT COMMAND...: the command makes a root in the folder that is added to it. What was
# made is kept as ROOT for as long as CONTENT stays the same.
keep_root() {
    local root=$1 content=$2 text=$3
    shift 3
    mkdir -p "${root%/*}"
    exec 9<"${root%/*}"
    flock 9
    if [ "$(cat "$root/made-of" 2>/dev/null)" != "$content" ]; then
        step "$text" make_root "$root" "$content" "$@" || return
    fi
    exec 9<&-
}

# Beside its place, then moved there: what is there is whole.
make_root() {
    local root=$1 content=$2
    shift 2
    rm -rf --one-file-system "$root" "$root.new" || return
    # debootstrap mounts /proc in there: a namespace of its own takes that away however this ends.
    export -f new_root mirror
    "$@" "$root.new" || return
    rm -rf "$root.new"/var/cache/apt/archives/*.deb
    echo "$content" >"$root.new/made-of" && mv "$root.new" "$root"
}

# unpack SUITE DIR PACKAGE...: the files of these packages alone, without what they need. It runs where
# errors do not end a shell by themselves (step), hence each && and ||.
unpack() (
    suite=$1 into=$2
    shift 2
    has apt-get || die 1 "no apt here to fetch from Debian $suite"
    work=$(mktemp -d) || exit 1
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$into" "$work"/{lists/partial,cache/archives/partial,debs}
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $suite main" >"$work/sources"
    opts=(-qq -o "Dir::Etc::sourcelist=$work/sources" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::Etc::preferencesparts=/dev/null -o "Dir::State=$work" -o Dir::State::status=/dev/null
        -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
    apt-get "${opts[@]}" update && cd "$work/debs" && apt-get "${opts[@]}" download "$@" || exit 1
    for deb in *.deb; do
        # Where /lib is a link and the package has a folder there, `dpkg-deb -x` would replace the link.
        dpkg-deb --fsys-tarfile "$deb" | tar -xC "$into" --keep-directory-symlink || exit 1
    done
)
