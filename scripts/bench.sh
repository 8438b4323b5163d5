#!/usr/bin/env bash
# Builds what is shipped and runs bench/run and bench/security/run; BENCH names another, with BENCH_ARGS.
# Benchmarks start clusters of their own.

. "$(dirname "$0")/lib.sh"
cd "$ROOT"

find_default_version
build_extension "$DEFAULT_PG" release
export PG_BIN BENCH_USER=$RUN_USER
# shellcheck disable=SC2086 # several arguments in one variable
if [ -n "${BENCH:-}" ]; then exec "bench/$BENCH/run" ${BENCH_ARGS:-}; fi
status=0
# shellcheck disable=SC2086 # as above
bench/run ${BENCH_ARGS:-} || status=$?
# Arguments are those of one benchmark.
if [ -z "${BENCH_ARGS:-}" ]; then bench/security/run || status=$?; fi
exit "$status"
