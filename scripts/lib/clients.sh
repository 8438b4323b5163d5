# shellcheck shell=bash
# What the stage clients needs: a pooler, other extensions, and libraries for Python. Sourced by lib.sh.
#
# Nothing of this is installed into the system: packages are unpacked below the private servers and
# build/, so that no service starts and no cluster is made.

CLIENTS=$BUILD/clients

# The other extensions are Debian's, for the server that is Debian's.
clients_run_on() { [ "$1" = 15 ] && [ -z "${PG_CONFIG:-}" ] && has_apt; }

# unpack_packages FOLDER PACKAGE...: downloads Debian packages and unpacks them, once.
unpack_packages() {
    local folder=$1 file
    shift
    if [ "$(cat "$folder/unpacked" 2>/dev/null)" = "$*" ]; then return; fi
    step "downloading $*"
    rm -rf "$folder"
    mkdir -p "$folder/debs"
    # A list of packages that is missing or old names files that are not there.
    download_packages "$folder/debs" "$@" || { apt_update_once && download_packages "$folder/debs" "$@"; } ||
        die "could not download $*"
    for file in "$folder"/debs/*.deb; do dpkg-deb -x "$file" "$folder"; done
    rm -rf "$folder/debs"
    printf '%s\n' "$*" >"$folder/unpacked"
}

# The folder is root's, so apt's own unprivileged user could not write into it.
download_packages() {
    local folder=$1
    shift
    (cd "$folder" && apt-get -o APT::Sandbox::User=root download -qq "$@") >"$BUILD/logs/apt.log" 2>&1
}

# A server tree for this stage alone, with the extension as built into the tree of PROFILE and the
# other extensions beside it. Sets PG_BIN and the rest as use_server does, and PGBOUNCER and
# PGBOUNCER_LIBS.
# shellcheck disable=SC2034 # what it sets is used by the stage
use_clients_server() {
    local version=$1 profile=$2 built share lib packages
    use_server "$version" "$profile"
    built=$TREE_PG_CONFIG
    use_server "$version" clients
    share=$("$TREE_PG_CONFIG" --sharedir)/extension
    lib=$("$TREE_PG_CONFIG" --pkglibdir)
    packages=$(servers_dir)/$version-clients/packages
    unpack_packages "$packages" pgbouncer libc-ares2 libevent-2.1-7 \
        "postgresql-$version-pgaudit" "postgresql-$version-cron" "postgresql-$version-pgtap"
    cp -rsf "$packages/usr/lib/postgresql/$version/lib/." "$lib/"
    cp -rsf "$packages/usr/share/postgresql/$version/extension/." "$share/"
    rm -f "$share"/audit_guard*
    cp "$("$built" --sharedir)"/extension/audit_guard* "$share/"
    cp --remove-destination "$("$built" --pkglibdir)/audit_guard.so" "$lib/"
PGBOUNCER=$packages/usr/sbin/pgbouncer
PGBOUNCER_LIBS=$(dirname "$(find "$packages/usr/lib" -name 'libcares.so.2')")
}

# Installs what tests/clients/requirements.txt names, with these checksums, into a folder of its own.
need_python_packages() {
    local requirements=$ROOT/tests/clients/requirements.txt stamp
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        explain_requirements "Python 3.11 or newer (stage clients)"
    stamp="$(python3 -c 'import sys; print(sys.executable, sys.version)') $(cksum <"$requirements")"
    if [ "$(cat "$CLIENTS/installed" 2>/dev/null)" = "$stamp" ]; then return; fi
    step "installing the libraries of tests/clients/requirements.txt"
    rm -rf "$CLIENTS"
    mkdir -p "$CLIENTS"
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check \
        --target "$CLIENTS/python" --require-hashes --only-binary=:all: -r "$requirements"
    printf '%s\n' "$stamp" >"$CLIENTS/installed"
}
