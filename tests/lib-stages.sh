# shellcheck shell=bash
# The stages of tests/run.sh, and how the results of each are counted. Sourced by run.sh.

run_stage() {
    cd "$ROOT" || exit
    # What PostgreSQL programs take from the environment must not change the outcome.
    unset PGHOST PGPORT PGUSER PGDATABASE PGOPTIONS PGPASSWORD PGSERVICE PSQLRC
    "stage_$1" "$2"
}

stage_lint() { scripts/lint.sh; }

# Also shows that the core and the command line tool build without PostgreSQL.
stage_core() {
    # shellcheck disable=SC2086 # no TEST, no argument
    cargo test --locked --no-fail-fast -p audit_guard_core -p audit-guard -- ${TEST:-}
}

stage_pgtest() {
    local options=(--no-default-features --features "pg$1") dir
    use_server "$1" dev
    if is_root; then
        # The socket and the data lie in one short folder of the server's user.
        dir=$(new_cluster_dir pgtest)
        # shellcheck disable=SC2064 # the folder of now
        trap "rm -rf '$dir'" EXIT
        options+=(--runas "$RUN_USER" --pgdata "$dir")
        PATH=$ROOT/scripts/lib/bin:$PATH
    fi
    export USER=${USER:-$(id -un)}
    # shellcheck disable=SC2086 # no TEST, no argument
    cargo pgrx test "pg$1" ${TEST:-} "${options[@]}"
}

# The first version is tested as shipped, the others with debug assertions and overflow checks.
test_profile() {
    local DEFAULT_PG
    PG='' find_default_version
    if [ "$1" = "$DEFAULT_PG" ]; then echo release; else echo dev; fi
}

# Builds, and starts the cluster that pg_regress connects to.
start_test_cluster() {
    local name=$1 version=$2
    build_extension "$version" "$(test_profile "$version")"
    # shellcheck disable=SC2064 # the name of now
    trap "stop_cluster '$name'" EXIT
    start_cluster "$name" -c fsync=off -c max_prepared_transactions=20
    find_cluster "$name"
}

stage_regress() {
    local tests=()
    select_tests tests/pg_regress sql
    # The first test creates the extension: every other one needs it before itself.
    if [ -n "${TEST:-}" ]; then tests=(00_setup "${tests[@]}"); fi
    start_test_cluster "regress-$1" "$1"
    regress_program regress/pg_regress tests/pg_regress "regress-$1" "${tests[@]}"
}

stage_isolation() {
    local tests=()
    select_tests tests/isolation spec
    start_test_cluster "isolation-$1" "$1"
    regress_program isolation/pg_isolation_regress tests/isolation "isolation-$1" "${tests[@]}"
}

# Chooses the folder's schedule, or TEST instead. A test that stands in no schedule would never run.
select_tests() {
    local folder=$1 kind=$2 file name
    for file in "$folder"/*/*."$kind"; do
        name=$(basename "$file" ".$kind")
        grep -qE "^test:(.* )?$name( |\$)" "$folder/schedule" || die "$file is missing in $folder/schedule"
    done
    # shellcheck disable=SC2206 # several names in one variable
    if [ -n "${TEST:-}" ]; then tests=($TEST); else tests=(--schedule="$folder/schedule"); fi
}

# regress_program PROGRAM FOLDER NAME TESTS: shows the differences of what failed.
regress_program() {
    local program=$PG_TESTERS/$1 folder=$2 name=$3 output=$BUILD/results/$3
    shift 3
    # Seconds until a step that waits for nobody has failed.
    export PGISOLATIONTIMEOUT=60
    [ -x "$program" ] || die "$program is missing"
    rm -rf "$output"
    mkdir -p "$output"
    LD_LIBRARY_PATH=$CLUSTER_LIBS "$program" --inputdir="$ROOT/$folder" --outputdir="$output" \
        --bindir="$CLUSTER_BIN" --host="$CLUSTER_DIR" --port=5432 --user=postgres \
        --dbname="audit_guard_${name%-*}" "$@" && return
    if [ -f "$output/regression.diffs" ]; then
        step "differences (whole: ${output#"$ROOT"/}/regression.diffs)"
        head -n 400 "$output/regression.diffs"
    fi
    return 1
}

stage_e2e() {
    # Makes a locale of its own to test sorting.
    if has_apt; then need_packages locales; fi
    build_extension "$1" "$(test_profile "$1")"
    export AG_PG_BIN=$PG_BIN AG_PG_VERSION=$1 AG_RUN_USER=$RUN_USER
    # shellcheck disable=SC2086 # no TEST, no argument
    cargo test --locked --no-fail-fast -p audit_guard_e2e -- ${TEST:-}
}

# Builds every server there is, unless the caller asked for one, and names them in AG_SERVERS. What leads from
# one version to another goes into LEFT_OUT when there is one.
build_all_servers() {
    local version versions="15 16 18" servers=''
    LEFT_OUT=()
    find_default_version
    if [ -n "${PG:-}${PG_CONFIG:-}" ]; then
        versions=$DEFAULT_PG
        LEFT_OUT=(--skip between_versions)
    fi
    for version in $versions; do
        build_extension "$version" "$(test_profile "$version")"
        servers+=${servers:+:}$version=$PG_BIN
    done
    export AG_SERVERS=$servers AG_RUN_USER=$RUN_USER
}

# From one server to another: restore, upgrade, standby, replication.
stage_roads() {
    build_all_servers
    # shellcheck disable=SC2086 # no TEST, no argument
    cargo test --locked --no-fail-fast -p audit_guard_e2e --features roads --test 'roads_*' -- ${TEST:-} \
        "${LEFT_OUT[@]}"
}

# Whether /dev/shm is large enough for clusters, and libraries may be loaded from there.
memory_serves() {
    local free probe=/dev/shm/ag-probe.$$
    free=$(df -Pk /dev/shm 2>/dev/null | awk 'END { print $4 }')
    if [ "${free:-0}" -lt 4000000 ]; then return 1; fi
    as_server sh -c "cp '$(type -P true)' $probe && $probe; code=\$?; rm -f $probe; exit \$code" 2>/dev/null
}

# Every known way around the guard. docs/attacks.md shows all versions, so one alone is not compared with it.
stage_attacks() {
    build_all_servers
    if [ "${#LEFT_OUT[@]}" != 0 ]; then LEFT_OUT+=(--skip page_is_current); fi
    # A thousand databases are made and dropped: faster in memory.
    if memory_serves; then export AG_CLUSTER_DIR=/dev/shm; fi
    # shellcheck disable=SC2086 # no TEST, no argument
    cargo test --locked -p audit_guard_e2e --features attacks --test attacks -- ${TEST:-} "${LEFT_OUT[@]}"
}

# Poolers, other extensions, ORMs and drivers, with the library as shipped. The tests load other extensions
# into the second and the third cluster, with and without ours.
stage_clients() {
    local profile name clusters=(clients clients-beside clients-preloaded)
    profile=$(test_profile "$1")
    need_python_packages
    build_extension "$1" "$profile"
    use_clients_server "$1" "$profile"
    # shellcheck disable=SC2064 # the names of now
    trap "for name in ${clusters[*]}; do stop_cluster \$name; done" EXIT
    for name in "${clusters[@]}"; do start_cluster "$name" -c fsync=off -c max_prepared_transactions=20; done
    export AG_CLUSTERS=$CLUSTERS AG_RUN_USER=$RUN_USER PGBOUNCER PGBOUNCER_LIBS
    # No caches beside what is checked in.
    PYTHONPATH=$CLIENTS/python PYTHONPYCACHEPREFIX=$CLIENTS/pycache python3 -m pytest -p no:cacheprovider \
        --color=no -rf --tb=short ${TEST:+-k "$TEST"} tests/clients
}

# Counts what a stage's log reports, into STAGE_PASSED and STAGE_FAILED.
count_results() {
    local log=$2
    case $1 in
        lint)
            STAGE_PASSED=$(grep -cE '^ok ' "$log" || true)
            STAGE_FAILED=$(grep -cE '^FAILED ' "$log" || true)
            ;;
        regress | isolation)
            # `test name ... ok` before PostgreSQL 16, TAP (`ok 1 - name`) since.
            STAGE_PASSED=$(grep -cE '^(test .* \.\.\. ok|ok [0-9]+ )' "$log" || true)
            STAGE_FAILED=$(grep -cE '^(test .* \.\.\. FAILED|not ok [0-9]+ )' "$log" || true)
            ;;
        clients)
            STAGE_PASSED=$(sum_pytest "$log" passed)
            STAGE_FAILED=$(sum_pytest "$log" 'failed|errors?|skipped')
            ;;
        *)
            STAGE_PASSED=$(sum_results "$log" passed)
            STAGE_FAILED=$(sum_results "$log" failed)
            ;;
    esac
}

# Sums `test result: ok. 3 passed; 0 failed; ...` over all test programs of a cargo test.
sum_results() {
    grep '^test result:' "$1" | grep -oE "[0-9]+ $2" | awk '{ n += $1 } END { print n + 0 }' || true
}

# Sums what the last line of pytest says, `== 3 failed, 40 passed in 12.34s ==`.
sum_pytest() {
    grep -E '^=+ .* in [0-9.]+s.* =+$' "$1" | tail -n 1 | grep -oE "[0-9]+ ($2)" |
        awk '{ n += $1 } END { print n + 0 }' || true
}
