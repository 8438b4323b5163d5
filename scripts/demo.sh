#!/usr/bin/env bash
# Builds, starts the private cluster `demo` with an empty database `demo`, and tells the story.

. "$(dirname "$0")/lib.sh"
cd "$ROOT"

find_default_version
build_extension "$DEFAULT_PG" release
step "starting a private PostgreSQL $DEFAULT_PG"
start_cluster demo -c shared_preload_libraries=audit_guard
cluster_environment demo
createdb demo
export PGDATABASE=demo
exec demo/run
