#!/usr/bin/env bash
# Builds the extension for production and installs it into a server of this machine: the one whose
# pg_config is PG_CONFIG, by default the first pg_config on PATH.

. "$(dirname "$0")/lib.sh"
cd "$ROOT"

PG_CONFIG=${PG_CONFIG:-$(command -v pg_config || true)}
[ -n "$PG_CONFIG" ] || die "which server? make install PG_CONFIG=/path/to/pg_config"
# A wrapper on PATH may answer for another version than the one it stands beside.
PG_CONFIG=$("$PG_CONFIG" --bindir)/pg_config
find_default_version
find_origin "$DEFAULT_PG"
need_build_tools
need_pgrx

export PGRX_HOME=$BUILD/install-$DEFAULT_PG
mkdir -p "$PGRX_HOME"
printf '[configs]\npg%s = "%s"\n' "$DEFAULT_PG" "$ORIGIN" >"$PGRX_HOME/config.toml"

options=(--release --pg-config "$ORIGIN" --no-default-features --features "pg$DEFAULT_PG")
if [ ! -w "$("$ORIGIN" --pkglibdir)" ] || [ ! -w "$("$ORIGIN" --sharedir)/extension" ]; then
    have sudo || die "run this as root: $("$ORIGIN" --pkglibdir) is not writable for $(id -un)"
    options+=(--sudo)
fi
step "installing audit_guard into PostgreSQL $DEFAULT_PG ($("$ORIGIN" --pkglibdir))"
cargo pgrx install "${options[@]}"
say "Now, in a database, as a superuser: CREATE EXTENSION audit_guard;"
