# SPDX-License-Identifier: Apache-2.0
# The stages of `./dev test`, their counts and the table at the end; sourced by ./dev.
# shellcheck shell=bash

all_stages=(unit style fuzz interop)
long_stages=(tsan)

# A stage function adds to these three, and gives a reason for each thing it did not run.
passed=0 failed=0 not_run=0
reasons=() table=()
total_passed=0 total_failed=0 total_not_run=0

count_not_run() { # REASON
    not_run=$((not_run + 1))
    reasons+=("$stage: $1")
}

# Runs one stage function and prints and stores its line of the table.
run_stage() { # NAME FUNCTION
    stage=$1
    local begun=$SECONDS line
    passed=0 failed=0 not_run=0
    log=build/log/test-$stage.log
    : > "$log"
    "$2"
    line=$(printf '%-10s %6d s %7d passed %5d failed %5d not run' "$stage" $((SECONDS - begun)) "$passed" "$failed" "$not_run")
    [ "$failed" -eq 0 ] || say "  ($stage failed; the whole log: $log)"
    say "$line"
    table+=("$line")
    total_passed=$((total_passed + passed)) total_failed=$((total_failed + failed)) total_not_run=$((total_not_run + not_run))
}

# Adds "N passed, M failed, K not run", the last line of a part's log; a part that ended otherwise is one failure.
count_last_line() { # LOG EXIT-STATUS
    local counts
    if [[ "$(tail -n 1 "$1")" =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ not\ run$ ]]; then
        counts=("${BASH_REMATCH[@]:1}")
        passed=$((passed + counts[0])) failed=$((failed + counts[1])) not_run=$((not_run + counts[2]))
        mapfile -t -O ${#reasons[@]} reasons < <(grep -E '^ *NOT RUN' "$1" | sed "s/^ *NOT RUN:* */$stage: /")
        if [ "$2" -ne 0 ] && [ "${counts[1]}" -eq 0 ]; then failed=$((failed + 1)); fi
    else
        failed=$((failed + 1))
        say "  $stage ended with status $2 and without its line of counts"
    fi
}

# --- what this machine can do -------------------------------------------------------------------------------------------

# Why an ability is absent; prints nothing when it is there.
#   root  network and mount namespaces can be made: as root, or as an ordinary user in a user namespace
#   uml   a user-mode Linux guest can start: the program, its modules, memory for it that may be executed
#   tun   tap devices can be made
lacks_ability() { # NAME
    case $1 in
        root)
            if [ "$(id -u)" -eq 0 ]; then
                unshare -nm true 2> /dev/null || echo "root may not make namespaces here"
            else
                unshare -Urnm true 2> /dev/null || echo "neither root nor allowed to make user namespaces"
            fi
            ;;
        uml)
            if ! command -v linux.uml > /dev/null || [ ! -d /usr/lib/uml/modules ]; then
                echo "the package user-mode-linux is not installed"
                return
            fi
            local place=${TMPDIR:-/tmp} free_mib
            if [ -z "${TMPDIR:-}" ] && findmnt -no FSTYPE /dev/shm 2> /dev/null | grep -q tmpfs; then place=/dev/shm; fi
            free_mib=$(df -Pm "$place" | awk 'NR == 2 {print $4}')
            [ "$free_mib" -ge 1024 ] || echo "guest memory needs 1024 MiB below $place, which has $free_mib (set TMPDIR)"
            if findmnt -no OPTIONS -T "$place" | grep -qw noexec; then echo "$place is mounted noexec (set TMPDIR)"; fi
            ;;
        tun) { : <> /dev/net/tun; } 2> /dev/null || echo "/dev/net/tun is absent or closed to us" ;;
        *) die "--require knows root, uml and tun, not '$1'" ;;
    esac
}

# --- the stages ---------------------------------------------------------------------------------------------------------

# Compiling counts no tests, but a failure to compile is a failure.
stage_build() {
    local preset targets
    for preset in $presets; do
        targets=(all)
        # In a subshell, so that the table is printed however the build ends.
        case $preset in
            release) targets=(stratad) ;;
            tsan) targets=(stress_test) ;;
        esac
        if ! (build "$preset" "${targets[@]}") >> "$log" 2>&1; then
            failed=$((failed + 1))
            build_ok=
            grep -E -A 8 'error:|FAILED:|undefined symbol' "$log" | tail -n 40 || tail -n 20 "$log"
        fi
    done
}

stage_after_broken_build() { count_not_run "the build failed"; }

# The counts come from ctest's JUnit file: its text counts skipped tests as passed.
run_ctest() { # PRESET CTEST-ARGUMENTS..
    local preset=$1 junit=$PWD/build/log/junit-$stage.xml total bad skipped
    shift
    rm -f "$junit"
    ctest --test-dir "build/$preset" -j "$jobs" --timeout 600 --output-on-failure --no-tests=ignore --output-junit "$junit" "$@" \
        >> "$log" 2>&1 || true
    if [ ! -s "$junit" ]; then
        failed=$((failed + 1))
        tail -n 20 "$log"
        return
    fi
    total=$(junit_attribute tests) bad=$(junit_attribute failures)
    skipped=$(($(junit_attribute skipped) + $(junit_attribute disabled))) # named below
    passed=$((passed + total - bad - skipped)) failed=$((failed + bad))
    [ "$total" -gt 0 ] || count_not_run "no test matched: ctest $*"
    not_run=$((not_run + skipped))
    while read -r name; do reasons+=("$stage: $name was skipped"); done \
        < <(sed -n 's/^[ \t]*[0-9]* - \(.*\) (\(Skipped\|Disabled\))$/\1/p' "$log")
    if [ "$bad" -gt 0 ]; then
        grep -E '^(\[  FAILED|.*: Failure|.*(ERROR|WARNING): .*Sanitizer|.*runtime error:)' "$log" | sort | uniq -c | head -n 40 || true
        sed -n '/^The following tests FAILED/,$p' "$log" | head -n 40
    fi
}

junit_attribute() { # NAME
    grep -m 1 -o "\b$1=\"[0-9]*\"" "$junit" | tr -dc 0-9
}

stage_unit() {
    if [ -n "$long" ]; then run_ctest dev; else run_ctest dev -LE '^(long|stress)$'; fi
}

stage_tsan() {
    run_ctest tsan -L '^stress$'
}

stage_style() {
    local status=0
    python3 tests/style/run.py > "$log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || grep -v '^ok ' "$log" | head -n 60
    count_last_line "$log" "$status"
}

fuzz_targets() { for source in tests/fuzz/*_fuzz.cpp; do [ -e "$source" ] && basename "$source" .cpp; done; }

# Each target must digest its corpus and a bounded number of seeded mutations of it.
stage_fuzz() {
    local name preset
    for name in $(fuzz_targets); do
        preset=dev
        knows_target dev "$name" || preset=fuzz
        if ! build "$preset" "$name" >> "$log" 2>&1; then
            failed=$((failed + 1))
            say "  $name does not build"
        elif run_fuzz_target "$preset" "$name" 300 -seed=1 -runs=20000 -max_total_time=5 >> "$log" 2>&1; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            say "  $name failed:"
            grep -E 'ERROR|SUMMARY|Test unit written' "$log" | tail -n 4 || true
        fi
    done
    [ $((passed + failed)) -gt 0 ] || count_not_run "tests/fuzz has no target yet"
}

# New inputs go to build/corpus, inputs that crash to build/crashes.
run_fuzz_target() { # PRESET TARGET TIME-LIMIT-SECONDS LIBFUZZER-ARGUMENTS..
    local preset=$1 name=$2 limit=$3 seeds=tests/fuzz/corpus/$2
    shift 3
    mkdir -p "build/corpus/$name" build/crashes
    [ -d "$seeds" ] || seeds=
    timeout -k 10 "$limit" "build/$preset/bin/$name" -rss_limit_mb=2048 -timeout=20 -artifact_prefix="build/crashes/$name-" "$@" \
        "build/corpus/$name" ${seeds:+"$seeds"} < /dev/null
}

fuzz_for() { # TARGET|all SECONDS
    local name names worst=0
    names=$(fuzz_targets)
    [ -n "$names" ] || die "tests/fuzz has no target yet"
    if [ "$1" != all ]; then
        grep -qx "$1" <<< "$names" || die "no fuzz target '$1'; there are: ${names//$'\n'/ }"
        names=$1
    fi
    for name in $names; do
        build fuzz "$name"
        say "== $name, $2 s"
        run_fuzz_target fuzz "$name" $(($2 + 120)) -max_total_time="$2" -print_final_stats=1 || worst=1
    done
    return $worst
}

stage_interop() {
    local status=0 ability reason arguments=()
    if [ ! -e tests/interop/run.py ]; then
        count_not_run "tests/interop/run.py is not in this tree yet"
        return
    fi
    for ability in root uml tun; do
        reason=$(lacks_ability "$ability")
        [ -z "$reason" ] || say "  this machine lacks '$ability': $reason"
    done
    [ -z "$long" ] || arguments+=(--long)
    STRATA_PEERS=$PWD/build/peers timeout -k 60 "$([ -n "$long" ] && echo 36000 || echo 2700)" \
        python3 tests/interop/run.py --stratad build/release/bin/stratad "${arguments[@]}" > "$log" 2>&1 < /dev/null || status=$?
    if [ "$status" -ne 0 ]; then
        grep -E 'FAIL|Traceback|Error' "$log" | head -n 40 || true
        tail -n 10 "$log"
    fi
    count_last_line "$log" "$status"
}

# Nothing may listen, and nothing may start at the next boot, that did not before.
stage_machine() {
    local change
    while read -r change; do
        if [[ "$change" == listener* ]]; then
            if belongs_to_others "$change"; then continue; fi
            change=$(describe_listener "$change")
        fi
        failed=$((failed + 1))
        say "  this run left behind: $change"
    done < <(comm -13 "$state_before" <(machine_state | sort))
    [ "$failed" -gt 0 ] || passed=1
}

# --- the command --------------------------------------------------------------------------------------------------------

check_requirements() { # fails for each ability that --require names and the machine lacks
    local ability reason
    for ability in ${require//,/ }; do
        reason=$(lacks_ability "$ability")
        if [ -n "$reason" ]; then
            failed=$((failed + 1))
            say "  --require=$ability: $reason"
        else
            passed=$((passed + 1))
        fi
    done
}

wants() { # STAGE
    [ -z "$only" ] || [[ ",$only," == *",$1,"* ]]
}

parse_test_options() {
    while [ $# -gt 0 ]; do
        case $1 in
            --long) long=yes ;;
            --require=*) require=${1#--require=} ;;
            --only=*) only=${1#--only=} ;;
            --only)
                [ $# -gt 1 ] || die "--only needs the name of a stage"
                only=$2
                shift
                ;;
            *) die "test does not know '$1' (see ./dev help)" ;;
        esac
        shift
    done
    local name
    for name in ${only//,/ } ${require//,/ }; do
        [[ " ${all_stages[*]} ${long_stages[*]} root uml tun " == *" $name "* ]] || die "no stage or ability is called '$name'"
    done
}

cmd_test() {
    long='' require='' only=''
    parse_test_options "$@"
    mkdir -p build/log
    export STRATA_TEST_RUN="$$-$RANDOM"
    [ -z "$long" ] || export STRATA_LONG=1
    state_before=$(mktemp)
    trap 'rm -f "$state_before"' EXIT
    machine_state | sort > "$state_before"

    need_packages "${run_packages[@]}" "${test_packages[@]}"
    if wants interop; then unpack_peers || true; fi
    export ASAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-19 UBSAN_OPTIONS=print_stacktrace=1

    [ -z "$require" ] || run_stage require check_requirements
    presets=
    if wants unit || wants fuzz; then presets+=" dev"; fi
    if wants interop; then presets+=" release"; fi
    if [ "$only" = tsan ] || { [ -n "$long" ] && [ -z "$only" ]; }; then presets+=" tsan"; fi
    build_ok=yes
    [ -z "$presets" ] || run_stage build stage_build
    local name stages=("${all_stages[@]}")
    if [[ "$presets" == *tsan* ]]; then stages+=("${long_stages[@]}"); fi
    for name in "${stages[@]}"; do
        wants "$name" || continue
        if [ -n "$build_ok" ] || [ "$name" = style ]; then
            run_stage "$name" "stage_$name"
        else
            run_stage "$name" stage_after_broken_build
        fi
    done
    run_stage machine stage_machine
    summary
}

summary() {
    say ''
    printf '%s\n' "${table[@]}"
    if [ ${#reasons[@]} -gt 0 ]; then printf 'NOT RUN %s\n' "${reasons[@]}"; fi
    local bad=$total_failed
    # With --require everything that the named abilities allow must have run.
    if [ -n "$require" ] && [ "$total_not_run" -gt 0 ]; then
        say "--require=$require: what was not run counts as a failure of this command"
        bad=1
    fi
    say "$total_passed passed, $total_failed failed, $total_not_run not run"
    [ "$bad" -eq 0 ]
}
