#!/usr/bin/env bash
# Format, lints, licences and shell scripts. Runs every check, names each, fails if any failed.

. "$(dirname "$0")/lib.sh"
cd "$ROOT"

need_build_tools
need_pgrx
need_deny
offer_shellcheck
find_default_version
use_server "$DEFAULT_PG" dev

failed=0
check() {
    local name=$1 began=$SECONDS
    shift
    step "$name"
    if "$@"; then
        echo "ok $name ($(duration $((SECONDS - began))))"
    else
        echo "FAILED $name: $*"
        failed=1
    fi
}

scripts=(.ci/run scripts/*.sh scripts/lib/bin/* tests/run.sh)
for extra in bench/run demo/run; do
    if [ -f "$extra" ] && head -n 1 "$extra" | grep -q 'sh$'; then scripts+=("$extra"); fi
done

check format cargo fmt --all --check
check clippy cargo clippy --quiet --workspace --all-targets \
    --features "audit_guard/pg$DEFAULT_PG audit_guard/pg_test audit_guard_e2e/roads audit_guard_e2e/attacks" \
    -- -D warnings
# What cargo-deny looks at must be here before it works offline.
check lockfile cargo fetch --quiet --locked
check dependencies cargo deny --offline --locked check licenses bans sources
if have shellcheck; then check shellcheck shellcheck -x -a "${scripts[@]}"; fi
exit "$failed"
