#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Runs the interop scenarios: real NFS clients in user-mode Linux against stratad, or against knfsd as the reference.
import argparse
import fnmatch
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

import guest
import knfsd
import network
import scenarios
import workloads
from report import Report
from stage import Stage, Timer

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
MEMORY_FOR_SCRATCH = 6 << 30        # bytes available, from which on the scratch folder is a tmpfs


def parse():
    parser = argparse.ArgumentParser(description="Real NFS clients against stratad (or knfsd, the reference).")
    parser.add_argument("--server", choices=["stratad", "knfsd"], default="stratad")
    parser.add_argument("--stratad", default=os.path.join(REPOSITORY, "build/release/bin/stratad"), metavar="PATH")
    parser.add_argument("--long", action="store_true", help="100 kills, and every scenario in full at 4.2, 4.1 and 4.0")
    parser.add_argument("--list", action="store_true", help="list the scenarios and end")
    parser.add_argument("--seed", type=int, default=None, help="of the random moments; printed at the start")
    parser.add_argument("--slow", type=float, default=1.0, metavar="FACTOR", help="stretches the time limits, as for a sanitizer build")
    parser.add_argument("--scratch", metavar="DIR", help="where servers keep their data (default: a tmpfs when memory allows)")
    parser.add_argument("--build", default=os.path.join(REPOSITORY, "build/interop"), metavar="DIR", help="compiled workloads, kept logs")
    parser.add_argument("--check", action="append", metavar="NAME", help="of the posix scenario only this check (repeatable)")
    parser.add_argument("--verbose", action="store_true", help="show every line the guests print")
    parser.add_argument("--require", action="store_true", help="exit 1 when something was not run")
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help="name or name@version, wildcards allowed; default: all")
    options = parser.parse_args()
    options.stratad = os.path.abspath(options.stratad)
    options.build = os.path.abspath(options.build)
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4), "big")
    return options


def chosen(options):
    """The (scenario, version, where) to run, in order. Those of the long tier too when they are asked for by name."""
    rows = []
    for scenario in scenarios.catalogue():
        for vers in scenario.versions + (scenario.long_versions if options.long or options.scenario else []):
            where = f"{scenario.name}@{vers}"
            if not options.scenario or any(fnmatch.fnmatch(where, wanted) or wanted == scenario.name for wanted in options.scenario):
                rows.append((scenario, vers, where))
    return rows


def available_memory():
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return 0


def make_scratch(options):
    """A folder for servers and guests' memory. Its tmpfs goes with the mount namespace, so nothing large can be left behind."""
    work = tempfile.mkdtemp(prefix="strata-interop-", dir=options.scratch)
    if options.scratch is None and available_memory() >= MEMORY_FOR_SCRATCH:
        size = available_memory() * 3 // 4
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "strata-interop", work], check=True)
    os.chmod(work, 0o755)
    return work


def choose_part(tree):
    """A folder of the tree (relative) with a few hundred files, for the steps that need not be large."""
    best, best_count = ".", 0
    for folder, _, _ in os.walk(tree):
        count = sum(len(files) for _, _, files in os.walk(folder))
        if best_count < count <= 1200:
            best, best_count = os.path.relpath(folder, tree), count
    return best


def skip_all(options, reason):
    report = Report()
    for _, _, where in chosen(options):
        report.skip(where, "all", reason)
    report.summary()
    return 1 if options.require else 0


def run_one(stage, scenario, vers, where):
    missing = scenario.needs - stage.features()
    if missing:
        stage.report.skip(where, "all", f"{stage.options.server} has no {', '.join(sorted(missing))}")
        return
    absent = [tool for tool in scenario.tools if not shutil.which(tool, path=network.search_path())]
    if absent:
        stage.report.skip(where, "all", f"not installed: {', '.join(absent)}")
        return
    timer = Timer()
    try:
        scenario.run(stage, where, vers)
    except guest.GuestError as error:
        stage.report.fail(where, "scenario", str(error))
        stage.discard_guests(where)
        stage.drop_server()
    except Exception:                                               # a fault of a scenario must not hide the others
        stage.report.fail(where, "scenario", traceback.format_exc())
        stage.discard_guests(where)
        stage.drop_server()
    print(f"time    {where} {timer.seconds():.1f} s", flush=True)


def run_inside(options):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # a first process is not ended by it otherwise
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    os.environ["PATH"] = network.search_path()
    network.build()
    report = Report()
    timer = Timer()
    logs = os.path.join(options.build, "logs")
    shutil.rmtree(logs, ignore_errors=True)
    os.makedirs(logs)
    binaries = os.path.join(options.build, "bin")
    workloads.compile_all(binaries)
    work = make_scratch(options)
    stage = None
    try:
        rows = chosen(options)
        tree, part = os.path.join(work, "tree"), "."
        if any(scenario.name in ("tree", "git") for scenario, _, _ in rows):
            files = workloads.gather_tree(tree)
            part = choose_part(tree)
            print(f"tree of {files} files; its part {part}")
        print(f"seed {options.seed}; prepared in {timer.seconds():.1f} s", flush=True)
        stage = Stage(options, work, logs, binaries, options.build, tree, part, report)
        for scenario, vers, where in rows:
            run_one(stage, scenario, vers, where)
        stage.end_server("end")
    finally:
        if stage is not None:
            stage.close()
        subprocess.run(["umount", "-l", work], capture_output=True, check=False)
        shutil.rmtree(work, ignore_errors=True)
    print(f"time    all {timer.seconds():.1f} s")
    status = report.summary()
    return 1 if options.require and report.not_run else status


def main():
    options = parse()
    if options.list:
        for scenario in scenarios.catalogue():
            extra = f" (--long: {', '.join(scenario.long_versions)})" if scenario.long_versions else ""
            print(f"{scenario.name:12} {', '.join(scenario.versions)}{extra}: {scenario.purpose}")
        return 0
    if not chosen(options):
        print("no such scenario; --list shows them", file=sys.stderr)
        return 2
    if options.server == "stratad" and not os.access(options.stratad, os.X_OK):
        print(f"{options.stratad} is not there: build it, or give --stratad PATH", file=sys.stderr)
        return 2
    reason = network.missing() or (None if workloads.compiler() else "no C++ compiler")
    if reason:
        return skip_all(options, reason)
    if not os.environ.get(network.INSIDE):
        if options.server == "knfsd":
            knfsd.unpack(options.build)     # there is no way out to the package archive from inside
        return skip_all(options, network.enter())
    return run_inside(options)


if __name__ == "__main__":
    sys.exit(main())
