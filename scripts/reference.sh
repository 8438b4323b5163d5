#!/usr/bin/env bash
# Makes docs/reference.md from the comments in a database that has the extension as it is built now.

. "$(dirname "$0")/lib.sh"
cd "$ROOT"

find_default_version
build_extension "$DEFAULT_PG" release
trap 'stop_cluster reference' EXIT
start_cluster reference -c fsync=off
cluster_environment reference
PGOPTIONS='-c client_min_messages=warning' psql -X -q -v ON_ERROR_STOP=1 -c 'CREATE EXTENSION audit_guard'
page=$(psql -X -q -A -t -v ON_ERROR_STOP=1 -f scripts/lib/reference.sql)
mkdir -p docs
printf '%s\n' "$page" >docs/reference.md
say "docs/reference.md: $(wc -l <docs/reference.md) lines"
