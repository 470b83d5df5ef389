# SPDX-License-Identifier: Apache-2.0
# Configuring and building with CMake's presets; sourced by ./dev.
# shellcheck shell=bash

# One compiler for each core, as long as each has 1.2 GiB: what the heaviest files take under the sanitizers.
default_jobs() {
    local cores memory_mib room
    cores=$(nproc)
    memory_mib=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
    room=$((memory_mib / 1200))
    if [ "$room" -lt 1 ]; then echo 1; elif [ "$room" -lt "$cores" ]; then echo "$room"; else echo "$cores"; fi
}
jobs=${STRATA_JOBS:-$(default_jobs)}

# A machine that only runs Strata has no GoogleTest: its build tree leaves the tests out until they are installed.
with_tests() { if [ -e /usr/include/gtest/gtest.h ]; then echo ON; else echo OFF; fi; }

# Generates build/PRESET unless it is there already; ninja itself notices changed CMake files.
configure() { # PRESET
    local preset=$1 tests log=build/log/configure-$1.log
    tests=$(with_tests)
    if [ -e "build/$preset/build.ninja" ] && grep -qs "^STRATA_TESTS:BOOL=$tests\$" "build/$preset/CMakeCache.txt"; then return; fi
    mkdir -p build/log
    if ! cmake --preset "$preset" -DSTRATA_TESTS="$tests" > "$log" 2>&1; then
        tail -n 30 "$log" >&2
        die "cmake --preset $preset failed (log: $log)"
    fi
}

build() { # PRESET TARGET..
    local preset=$1
    shift
    configure "$preset"
    ninja -C "build/$preset" -j "$jobs" "$@"
}

knows_target() { # PRESET TARGET
    ninja -C "build/$1" -t query "$2" > /dev/null 2>&1
}
