#!/usr/bin/env bash
# Known vulnerabilities in what we depend on. Needs the public advisory database, hence the network.

. "$(dirname "$0")/lib.sh"
cd "$ROOT"

need_rust
need_deny
export CARGO_NET_RETRY=1
log=$BUILD/logs/advisories.log
if cargo deny --locked check advisories 2>&1 | tee "$log"; then exit 0; fi
if grep -qiE 'failed to (fetch|load|clone|open).*(advisory|database)|advisory database' "$log"; then
    die "the advisory database could not be reached: nothing was checked"
fi
die "there are advisories against our dependencies"
