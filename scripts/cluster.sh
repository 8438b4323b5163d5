#!/usr/bin/env bash
# Private PostgreSQL clusters of this checkout, with the extension built into their server.
#
#   cluster.sh start NAME [postgres options]   make a new one (replaces one of that name)
#   cluster.sh stop NAME | --all               stop it and remove its data
#   cluster.sh env NAME [DATABASE]             print what to eval to reach it
#   cluster.sh psql NAME DATABASE [arguments]  open psql in it
#   cluster.sh list                            names and folders of those running
#
# PG=15|16|17|18 or PG_CONFIG=... chooses the server, AG_PROFILE=release|dev the build (release).


usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

. "$(dirname "$0")/lib.sh"

command=${1:-}
shift || usage
case $command in
    start)
        [ $# -ge 1 ] || usage
        find_default_version
        build_extension "$DEFAULT_PG" "${AG_PROFILE:-release}"
        start_cluster "$@"
        say "cluster $1 runs PostgreSQL $DEFAULT_PG"
        ;;
    stop)
        [ $# = 1 ] || usage
        if [ "$1" = --all ]; then stop_all_clusters; else stop_cluster "$1"; fi
        ;;
    env)
        [ $# -ge 1 ] || usage
        cluster_environment "$@"
        for variable in PGHOST PGPORT PGUSER PGDATABASE PATH LD_LIBRARY_PATH; do
            if [ -n "${!variable:-}" ]; then printf 'export %s=%q\n' "$variable" "${!variable}"; fi
        done
        ;;
    psql)
        [ $# -ge 2 ] || usage
        cluster_environment "$1" "$2"
        shift 2
        exec psql "$@"
        ;;
    list)
        for file in "$CLUSTERS"/*; do
            if [ -f "$file" ]; then
                find_cluster "$(basename "$file")"
                printf '%s\t%s\n' "$(basename "$file")" "$CLUSTER_DIR"
            fi
        done
        ;;
    *) usage ;;
esac
