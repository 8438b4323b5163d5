#!/usr/bin/env bash
# Builds what is shipped and runs bench/run with BENCH_ARGS. The benchmark starts clusters of its own.

. "$(dirname "$0")/lib.sh"
cd "$ROOT"

find_default_version
build_extension "$DEFAULT_PG" release
export PG_BIN BENCH_USER=$RUN_USER
# shellcheck disable=SC2086 # several arguments in one variable
exec bench/run ${BENCH_ARGS:-}
