# SPDX-License-Identifier: Apache-2.0
# Debian packages: what each command needs, installed without a prompt and without a service; sourced by ./dev.
# shellcheck shell=bash disable=SC2034

run_packages=(clang-19 lld-19 ninja-build cmake ccache libboost1.81-dev libboost-json1.81-dev libsqlite3-dev libisal-dev
    libssl-dev libfmt-dev libtomlplusplus-dev)
test_packages=(libgtest-dev libgmock-dev libclang-rt-19-dev llvm-19 clang-format-19 user-mode-linux kmod attr busybox iproute2
    libnfs-utils nfs4-acl-tools sqlite3 git g++ python3 libtirpc3 netbase)
lint_packages=(clang-format-19 clang-tidy-19)
# Libraries of the bench peers: no service in them.
bench_packages=(libntirpc4.3 libnfsidmap1 liburcu8 libdbus-1-3 libwbclient0 libacl1 libcap2 libgssapi-krb5-2)

# Packages that bring a service are never installed, because dpkg would enable it for the next boot whatever a policy says
# about starting it now. Their programs are unpacked below build/peers and run from there:
#   nfs-common (with rpcbind, which would listen on port 111): mount.nfs4, for the guests of tests/interop; it reads /etc/protocols, which
#   a minimal Debian lacks: netbase
#   nfs-ganesha: the peer of `./dev bench nfs`
# uml-utilities is not needed (the guests use the kernel's own tap transport), nor is procps (/proc is read directly).
peer_packages=(nfs-common)
bench_peer_packages=(nfs-ganesha nfs-ganesha-vfs)

say() { printf '%s\n' "$*"; }

die() {
    printf 'dev: %s\n' "$*" >&2
    exit 1
}

# Runs as root. A policy-rc.d forbids the packages' scripts to start anything; it counts only while this shell lives, so
# that even a copy left behind by kill -9 or a power cut is harmless. A policy of the machine's own stays in force.
# shellcheck disable=SC2016
install_script='
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap "rm -f $policy" EXIT
    trap "exit 130" INT TERM HUP
    {
        echo "#!/bin/sh"
        echo "# Temporary: Strata installs packages, and no service may start. Without effect once process $$ has ended."
        echo "if kill -0 $$ 2>/dev/null; then exit 101; fi"
        echo "exit 0"
    } > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
# A machine that has just started may be at its own updates, which hold the lock.
apt-get -qq update &&
    apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=600 install "$@"
'

missing_packages() { # PACKAGE..
    comm -23 <(printf '%s\n' "$@" | sort -u) \
        <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' | sort -u)
}

# Installs those of the packages that are missing: one dpkg-query when there are none.
need_packages() { # PACKAGE..
    if ! command -v dpkg-query > /dev/null; then
        say "dev: this is not Debian; these packages are taken as present: $*"
        return
    fi
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0

    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2> /dev/null; then
            say "dev: packages are missing, and there is no sudo that works without a password. Run this as root, then again ./dev:" >&2
            say "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
            exit 1
        fi
        root=(sudo -n)
    fi
    mkdir -p build/log
    say "installing ${#missing[@]} packages (log: build/log/apt.log): ${missing[*]}"
    if ! "${root[@]}" sh -c "$install_script" sh "${missing[@]}" < /dev/null > build/log/apt.log 2>&1; then
        tail -n 20 build/log/apt.log >&2
        die "apt-get could not install the packages; Strata's packages are those of Debian 12"
    fi
}

# Unpacks a package's newest files below build/peers; as an ordinary user, touching nothing else.
unpack_package() { # PACKAGE..
    local deb=build/peers/.deb
    mkdir -p "$deb"
    for package in "$@"; do
        [ -e "build/peers/.$package" ] && continue
        if ! (cd "$deb" && apt-get -qq -o APT::Sandbox::User= download "$package") > build/log/peers.log 2>&1; then
            tail -n 5 build/log/peers.log >&2
            say "dev: could not fetch the package $package; what needs it will not run" >&2
            return 1
        fi
        dpkg -x "$deb/$package"_*.deb build/peers
        chmod -R u-s,g-s build/peers # the guests are root; nobody on this machine becomes it
        touch "build/peers/.$package"
    done
    rm -rf "$deb"
}

unpack_peers() {
    mkdir -p build/log
    [ -x /sbin/mount.nfs4 ] || unpack_package "${peer_packages[@]}"
}

unpack_bench_peers() {
    mkdir -p build/log
    command -v ganesha.nfsd > /dev/null || unpack_package "${bench_peer_packages[@]}"
}
