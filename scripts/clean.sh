#!/usr/bin/env bash
# Stops this checkout's clusters and removes everything the build made.

. "$(dirname "$0")/lib.sh"

stop_all_clusters
rm -rf "$(servers_dir)" "$BUILD" "$CARGO_TARGET_DIR"
