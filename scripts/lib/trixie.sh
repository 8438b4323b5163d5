# shellcheck shell=bash
# PostgreSQL 17 for a machine whose distribution has none: Debian 13's own packages, unpacked into the
# build folder. Nothing is installed and no root is needed. Sourced by lib.sh.
#
# The programs of Debian 13 want its C library, so each gets the unpacked loader and library folder
# written into it. What is built on this machine has an older C library in mind and loads as well.

TRIXIE_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg
# What the server's packages ask for and a test server does not: just-in-time compilation, the
# distribution's own tools around clusters, and what every machine has.
TRIXIE_WITHOUT="clang-19 debconf libllvm19 libpq-dev llvm-19-dev locales postgresql-client-common
    postgresql-common sensible-utils ssl-cert tzdata"

# Whether 17 comes from here: it does already, or the distribution has none.
trixie_serves() {
    if [ -f "$(servers_dir)/trixie-17/complete" ]; then return 0; fi
    ! distribution_has 17 && has_apt && [ -f "$TRIXIE_KEYS" ]
}

# Downloads and unpacks the server; leaves its folder in TRIXIE_DIR.
need_trixie() {
    TRIXIE_DIR=$(servers_dir)/trixie-17
    # The programs know their libraries by path: a checkout that was moved needs them anew.
    if [ "$(cat "$TRIXIE_DIR/complete" 2>/dev/null)" = "$TRIXIE_DIR" ]; then return; fi
    if [ ! -d /usr/share/zoneinfo ]; then need_packages tzdata; fi
    step "downloading PostgreSQL 17 (Debian 13)"
    rm -rf "$TRIXIE_DIR"
    mkdir -p "$TRIXIE_DIR"
    download_trixie >"$BUILD/logs/trixie.log" 2>&1 || {
        tail -n 30 "$BUILD/logs/trixie.log" >&2
        die "PostgreSQL 17 could not be downloaded (see $BUILD/logs/trixie.log)"
    }
    local package
    for package in "$TRIXIE_DIR"/apt/archives/*.deb; do dpkg -x "$package" "$TRIXIE_DIR"; done
    rm -r "$TRIXIE_DIR/apt"
    # Without LLVM beside it this module would fail to load; without the module the server does without.
    rm "$TRIXIE_DIR/usr/lib/postgresql/17/lib/llvmjit.so"
    settle_trixie
    printf '%s\n' "$TRIXIE_DIR" >"$TRIXIE_DIR/complete"
}

# apt with lists, status and archives of its own; proxies and the like are the machine's.
apt_trixie() {
    apt-get -q -o Dir::State="$TRIXIE_DIR/apt" -o Dir::State::status="$TRIXIE_DIR/apt/status" \
        -o Dir::Cache="$TRIXIE_DIR/apt" -o Dir::Etc::sourcelist="$TRIXIE_DIR/apt/sources.list" \
        -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferences=/dev/null \
        -o Dir::Etc::preferencesparts=/dev/null -o APT::Sandbox::User=root "$@"
}

download_trixie() {
    local apt=$TRIXIE_DIR/apt mirror security package
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    mirror=$(debian_mirror Debian)
    security=$(debian_mirror Debian-Security)
    cat >"$apt/sources.list" <<SOURCES
deb [signed-by=$TRIXIE_KEYS] ${mirror:-http://deb.debian.org/debian} trixie main
deb [signed-by=$TRIXIE_KEYS] ${security:-http://deb.debian.org/debian-security} trixie-security main
SOURCES
    for package in $TRIXIE_WITHOUT; do
        printf 'Package: %s\nStatus: install ok installed\nVersion: 9:9\nArchitecture: %s\n' \
            "$package" "$(dpkg --print-architecture)"
        printf 'Maintainer: none\nDescription: taken as given\n\n'
    done >"$apt/status"
    apt_trixie update && apt_trixie install -y --download-only --no-install-recommends \
        postgresql-17 postgresql-server-dev-17 patchelf
}

# Where this machine gets the packages of the archive with that label from; nothing when unknown.
debian_mirror() {
    # shellcheck disable=SC2016 # apt's own placeholders
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        awk -v label="$1" '$1 == "Debian" && $2 == label { found = $3 } END { print found }'
}

# Makes the programs start with the unpacked loader and libraries.
settle_trixie() {
    local postgres=$TRIXIE_DIR/usr/lib/postgresql/17 loader libraries program patch
    loader=$(echo "$TRIXIE_DIR"/usr/lib/*/ld-linux-*.so.*)
    libraries=$(dirname "$loader")
    patch=("$loader" --library-path "$libraries" "$TRIXIE_DIR/usr/bin/patchelf")
    for program in "$postgres"/bin/* "$postgres"/lib/pgxs/src/test/{regress,isolation}/*; do
        # Scripts have no loader.
        "${patch[@]}" --print-interpreter "$program" >/dev/null 2>&1 || continue
        # Unlike the newer kind of path, this kind also holds for the libraries of libraries.
        "${patch[@]}" --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$program"
    done
    "$postgres/bin/postgres" --version >/dev/null || die "the server of Debian 13 does not start here"
}
