# shellcheck shell=bash
# Private clusters: a Unix socket in a folder of their own, no network. Sourced by lib.sh.
#
# What is known of a running cluster stands in build/clusters/NAME, as shell assignments.

CLUSTERS=$BUILD/clusters
mkdir -p "$CLUSTERS"

# pg_ctl hands the server's options to a shell.
quoted() { if [ $# -gt 0 ]; then printf ' %q' "$@"; fi; }

# start_cluster NAME [postgres options, such as -c fsync=off]: of the server set by use_server.
start_cluster() {
    local name=$1 dir
    shift
    stop_cluster "$name"
    dir=$(new_cluster_dir "$name")
    as_server "$PG_BIN/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -k \
        >"$BUILD/logs/initdb-$name.log" 2>&1 || {
        cat "$BUILD/logs/initdb-$name.log" >&2
        die "initdb failed"
    }
    {
        printf 'CLUSTER_DIR=%q\n' "$dir"
        printf 'CLUSTER_BIN=%q\n' "$PG_BIN"
        printf 'CLUSTER_LIBS=%q\n' "$PG_LIBS"
    } >"$CLUSTERS/$name"
    as_server "$PG_BIN/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 120 \
        -o "-k '$dir' -c listen_addresses='' -c port=5432$(quoted "$@")" start >/dev/null || {
        as_server tail -n 20 "$dir/log" >&2
        die "the server did not start"
    }
}

# Sets CLUSTER_DIR, CLUSTER_BIN and CLUSTER_LIBS of a cluster that was started.
find_cluster() {
    [ -f "$CLUSTERS/$1" ] || die "no cluster $1 is running here"
    # shellcheck disable=SC1090 # written by start_cluster
    . "$CLUSTERS/$1"
}

# Stops the cluster, if there is one, and removes its data.
stop_cluster() {
    if [ ! -f "$CLUSTERS/$1" ]; then return; fi
    find_cluster "$1"
    # Its folder is gone after a restart of the machine.
    if as_server test -f "$CLUSTER_DIR/data/postmaster.pid"; then
        as_server "$CLUSTER_BIN/pg_ctl" -D "$CLUSTER_DIR/data" -m fast -w -t 120 stop >/dev/null || true
    fi
    case $CLUSTER_DIR in
        */ag-*) rm -rf "$CLUSTER_DIR" ;;
    esac
    rm -f "$CLUSTERS/$1"
}

stop_all_clusters() {
    local file
    for file in "$CLUSTERS"/*; do
        if [ -f "$file" ]; then stop_cluster "$(basename "$file")"; fi
    done
}

# The environment in which psql, pgbench and every libpq program reach the cluster.
cluster_environment() {
    find_cluster "$1"
    export PGHOST=$CLUSTER_DIR PGPORT=5432 PGUSER=postgres PGDATABASE=${2:-postgres}
    export PATH=$CLUSTER_BIN:$PATH
    if [ -n "$CLUSTER_LIBS" ]; then export LD_LIBRARY_PATH=$CLUSTER_LIBS; fi
}
