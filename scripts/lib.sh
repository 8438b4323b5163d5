# shellcheck shell=bash
# What every script of the project starts with: folders, messages, who runs what. Sourced, never run.

set -euo pipefail
umask 022
export LC_ALL=C.UTF-8

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Everything the scripts make lies here, except Cargo's output.
BUILD=$ROOT/build
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}
mkdir -p "$BUILD/logs"

# make hands on what was not given as empty; to pgrx an empty PG_CONFIG is a program name.
if [ -z "${PG_CONFIG:-}" ]; then unset PG_CONFIG; fi

say() { printf '%s\n' "$*" >&2; }
step() { printf '\n== %s\n' "$*" >&2; }
die() {
    printf 'audit_guard: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" = 0 ]; }
can_be_root() { is_root || have sudo; }

as_root() {
    if is_root; then "$@"; else sudo "$@"; fi
}

# PostgreSQL refuses to run as root, so root hands the server programs to an unprivileged user.
if is_root; then
    if id postgres >/dev/null 2>&1; then RUN_USER=postgres; else RUN_USER=nobody; fi
else
    RUN_USER=$(id -un)
fi

as_server() {
    if is_root; then (cd / && runuser -u "$RUN_USER" -- "$@"); else "$@"; fi
}

# Where server programs are laid out. The user who runs them must be able to get there, which he
# cannot when root's checkout lies in a folder closed to others, such as /root.
servers_dir() {
    local dir=$BUILD/servers
    if is_root && ! as_server test -x "$ROOT"; then
        dir=/var/tmp/audit_guard-$(printf '%s' "$ROOT" | cksum | cut -d' ' -f1)
    fi
    mkdir -p "$dir"
    printf '%s\n' "$dir"
}

# A new folder for one cluster, made by the user who runs the server. Its path is kept short:
# the name of a Unix socket has at most 107 bytes.
new_cluster_dir() {
    local base=${TMPDIR:-/tmp}
    if [ "${#base}" -gt 60 ] || ! as_server test -w "$base"; then base=/tmp; fi
    as_server mktemp -d "$base/ag-$1.XXXXXX"
}

# 75 -> 1m15s
duration() {
    if [ "$1" -lt 60 ]; then printf '%ds' "$1"; else printf '%dm%02ds' $(($1 / 60)) $(($1 % 60)); fi
}

. "$ROOT/scripts/lib/tools.sh"
. "$ROOT/scripts/lib/trixie.sh"
. "$ROOT/scripts/lib/server.sh"
. "$ROOT/scripts/lib/build.sh"
. "$ROOT/scripts/lib/clusters.sh"
. "$ROOT/scripts/lib/clients.sh"
