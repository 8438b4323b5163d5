#!/usr/bin/env bash
# Runs every layer of tests and ends with a table of totals and the line `N passed, M failed`.
#
#   run.sh                                   everything
#   STAGE="regress e2e" PG=16 run.sh         some stages on one version
#   STAGE=regress TEST=capture run.sh        one test of a stage
#
# Stages: lint core pgtest regress isolation e2e roads attacks clients. One that fails does not hide the
# others, and one that ran nothing has failed. What each printed stays in build/logs.

# One stream, so that what is printed stays in order.
exec 2>&1
. "$(dirname "$0")/../scripts/lib.sh"
. "$ROOT/tests/lib-stages.sh"

# A stage runs in a process of its own: its traps and settings end with it.
if [ "${1:-}" = --stage ]; then
    run_stage "$2" "$3"
    exit
fi

find_default_version
versions=$DEFAULT_PG
if [ -z "${PG:-}${PG_CONFIG:-}" ] && wheel_runs_here; then
    for version in 16 18; do
        if [ "$version" != "$DEFAULT_PG" ]; then versions+=" $version"; fi
    done
fi

# Servers, compilers and the rest are set up first, so that no stage is blamed for a missing package.
need_build_tools
need_pgrx
for version in $versions; do use_server "$version" dev; done

plan=()
for stage in ${STAGE:-lint core pgtest regress isolation e2e roads attacks clients}; do
    case $stage in
        lint | core | roads | attacks) plan+=("$stage -") ;;
        pgtest) plan+=("$stage $DEFAULT_PG") ;;
        regress | isolation | e2e) for version in $versions; do plan+=("$stage $version"); done ;;
        clients)
            if clients_run_on "$DEFAULT_PG"; then
                plan+=("clients $DEFAULT_PG")
            elif [ -n "${STAGE:-}" ]; then
                die "the stage clients needs Debian's PostgreSQL 15"
            fi
            ;;
        *) die "no stage $stage (lint core pgtest regress isolation e2e roads attacks clients)" ;;
    esac
done

# Nobody watches a run without a terminal: there a stage that hangs is ended, so that the rest is seen.
limit=()
if [ ! -t 0 ] && have timeout; then limit=(timeout --kill-after=60 30m); fi

table=()
passed=0
failed=0
began=$SECONDS
for entry in "${plan[@]}"; do
    read -r stage version <<<"$entry"
    log=$BUILD/logs/$stage-$version.log
    stage_began=$SECONDS
    step "[$((${#table[@]} + 1))/${#plan[@]}] $stage ${version#-} after $(duration $((SECONDS - began)))"
    status=0
    "${limit[@]}" bash "$ROOT/tests/run.sh" --stage "$stage" "$version" 2>&1 | tee "$log" || status=1
    count_results "$stage" "$log"
    note=
    if [ "$STAGE_PASSED" = 0 ] && [ "$STAGE_FAILED" = 0 ]; then
        note="ran nothing"
        STAGE_FAILED=1
    elif [ "$status" != 0 ] && [ "$STAGE_FAILED" = 0 ]; then
        note="did not finish"
        STAGE_FAILED=1
    fi
    passed=$((passed + STAGE_PASSED))
    failed=$((failed + STAGE_FAILED))
    table+=("$(printf '%-10s %-4s %7d %7d %9s  %s' "$stage" "$version" "$STAGE_PASSED" "$STAGE_FAILED" \
        "$(duration $((SECONDS - stage_began)))" "$note")")
done

printf '\n%-10s %-4s %7s %7s %9s\n' layer PG passed failed time
printf '%s\n' "${table[@]}"
printf 'all in %s\n\n' "$(duration $((SECONDS - began)))"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
