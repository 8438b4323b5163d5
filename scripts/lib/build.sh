# shellcheck shell=bash
# Builds the extension and installs it into a private server. Sourced by lib.sh.

# build_extension VERSION PROFILE, where PROFILE is release (what is shipped: the demo, the
# benchmarks, and the tests on the first version) or dev (debug assertions and overflow checks:
# the tests on the other versions).
build_extension() {
    local version=$1 profile=$2 began=$SECONDS log=$BUILD/logs/build-$1-$2.log
    need_build_tools
    need_pgrx
    use_server "$version" "$profile"
    step "building audit_guard for PostgreSQL $version ($profile)"
    (cd "$ROOT" && cargo pgrx install --pg-config "$TREE_PG_CONFIG" --profile "$profile" \
        --no-default-features --features "pg$version" >"$log") ||
        die "the extension does not build for PostgreSQL $version (see above, and $log)"
    say "built for PostgreSQL $version in $(duration $((SECONDS - began)))"
}
