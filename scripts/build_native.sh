#!/bin/sh
# Builds the native library and puts it into priv/. rebar3 runs this before it compiles
# (pre_hooks in rebar.config): as root project, as a dependency and in a release.
#
#   EPMD_DOCKER_SKIP_NATIVE=1   build nothing: you bring priv/epmd_docker_nif.so yourself
#
# rebar3 sets REBAR_ROOT_DIR to the user's project, so this repository is found from $0.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
# The VM looks for .so on every system, macOS included.
library=$root/priv/epmd_docker_nif.so

say() { printf 'epmd_docker: %s\n' "$*" >&2; }

if [ "${EPMD_DOCKER_SKIP_NATIVE:-}" = 1 ]; then
    [ -f "$library" ] || say "EPMD_DOCKER_SKIP_NATIVE=1: nothing is built, and there is no $library yet"
    exit 0
fi

up_to_date() {
    [ -f "$library" ] || return 1
    changed=$(find "$root/Cargo.toml" "$root/Cargo.lock" "$root"/native/*/Cargo.toml \
        "$root"/native/*/build.rs "$root"/native/*/src -newer "$library" 2>/dev/null | head -n 1)
    [ -z "$changed" ]
}

if up_to_date; then exit 0; fi

if ! command -v cargo >/dev/null 2>&1; then
    say "cargo is not installed: the native library needs Rust 1.91 or later (https://rustup.rs), or EPMD_DOCKER_SKIP_NATIVE=1 and a priv/epmd_docker_nif.so of your own"
    exit 1
fi

# An empty CARGO_TARGET_DIR is an error to cargo; unset means the default.
[ -n "${CARGO_TARGET_DIR:-}" ] || unset CARGO_TARGET_DIR

say "building the native library (cargo build --release)"
cd "$root"
# cargo itself says where the library went: CARGO_TARGET_DIR, CARGO_BUILD_TARGET and
# configuration files all move it.
messages=$(cargo build --locked --release -p epmd_docker_nif --message-format=json-render-diagnostics)
built=$(printf '%s\n' "$messages" |
    sed -n 's/.*"filenames":\["\([^"]*epmd_docker_nif\.\(so\|dylib\|dll\)\)".*/\1/p' | tail -n 1)
if [ -z "$built" ] || [ ! -f "$built" ]; then
    say "cargo built no library that this script can find"
    exit 1
fi

# Never write over a library that a running VM has mapped: copy beside it, then rename.
mkdir -p "$root/priv"
temporary=$library.$$.tmp
trap 'rm -f "$temporary"' EXIT
cp "$built" "$temporary"
mv -f "$temporary" "$library"
say "built $library"
