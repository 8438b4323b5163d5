# shellcheck shell=bash
# What the project needs from the machine, installed when missing. Sourced by lib.sh.
#
# With apt and root (or sudo) a missing package is installed. Anywhere else the scripts say what to
# install and stop: they never guess at another system's package manager.

RUST_VERSION=1.95
PGRX_VERSION=0.18.1
DENY_VERSION=0.20.2

has_apt() { have apt-get && have dpkg-query; }

explain_requirements() {
    cat >&2 <<EOF
audit_guard needs: $*

Install these, then run the same command again:
  Rust $RUST_VERSION or newer with cargo, rustfmt and clippy   (https://rustup.rs)
  a C compiler, make, pkg-config, and the headers of OpenSSL
  libclang with its headers                                    (Debian: libclang-dev)
  Python 3 with pip
  PostgreSQL 15 with its server headers                        (Debian: postgresql-15,
                                                                postgresql-server-dev-15)
An installation in an unusual place: make ... PG_CONFIG=/path/to/pg_config
On 64-bit Intel/AMD Linux PG=16 and PG=18 bring their own server, on Debian PG=17.
EOF
    exit 1
}

package_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# At most once an hour, whichever of the scripts asks.
apt_update_once() {
    if [ -n "$(find "$BUILD/apt-updated" -mmin -60 2>/dev/null)" ]; then return; fi
    step "updating the list of Debian packages"
    as_root apt-get update -qq
    touch "$BUILD/apt-updated"
}

# Installs those of the named Debian packages that are missing.
need_packages() {
    local package missing=()
    for package in "$@"; do
        package_installed "$package" || missing+=("$package")
    done
    if [ "${#missing[@]}" = 0 ]; then return; fi
    can_be_root || explain_requirements "the packages ${missing[*]}, and root or sudo to install them"
    apt_update_once
    step "installing ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "${missing[@]}" >"$BUILD/logs/apt.log" 2>&1 || {
        tail -n 30 "$BUILD/logs/apt.log" >&2
        die "apt-get could not install ${missing[*]}"
    }
}

need_rust() {
    local found
    have cargo || explain_requirements "Rust (cargo was not found)"
    found=$(rustc --version | cut -d' ' -f2)
    [ "$(printf '%s\n' "$RUST_VERSION" "$found" | sort -V | head -n 1)" = "$RUST_VERSION" ] ||
        explain_requirements "Rust $RUST_VERSION or newer (found $found)"
}

has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] || have llvm-config || ldconfig -p 2>/dev/null | grep -q libclang
}

# Compiler, libclang and the few programs that building the extension takes.
need_build_tools() {
    need_rust
    if has_apt; then
        local packages=(gcc libc6-dev make pkg-config libssl-dev libclang-dev)
        have python3 && python3 -m pip --version >/dev/null 2>&1 || packages+=(python3 python3-pip)
        need_packages "${packages[@]}"
    else
        local program
        for program in cc make pkg-config python3; do
            have "$program" || explain_requirements "$program"
        done
        has_libclang || explain_requirements "libclang"
    fi
}

# Puts a cargo subcommand of exactly one version on PATH. A different version that the user has
# installed for himself stays as it is: ours then goes into the build folder.
need_cargo_tool() {
    local crate=$1 version=$2 where=()
    PATH=$BUILD/tools/bin:$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    if have "$crate"; then
        if [ "$(cargo_tool_version "$crate")" = "$version" ]; then return; fi
        where=(--root "$BUILD/tools")
    fi
    step "installing $crate $version (once, some minutes)"
    CARGO_TARGET_DIR=$BUILD/tools/target cargo install --locked "${where[@]}" \
        "$crate" --version "=$version"
    rm -rf "$BUILD/tools/target"
    hash -r
    [ "$(cargo_tool_version "$crate")" = "$version" ] || die "$crate $version was installed but is not found"
}

cargo_tool_version() {
    "$1" "${1#cargo-}" --version 2>/dev/null | head -n 1 | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' || true
}

need_pgrx() { need_cargo_tool cargo-pgrx "$PGRX_VERSION"; }
need_deny() { need_cargo_tool cargo-deny "$DENY_VERSION"; }

# Checking the scripts is welcome but not required: where it cannot be had, that one check is left out.
offer_shellcheck() {
    if ! have shellcheck && has_apt && can_be_root; then need_packages shellcheck; fi
}
