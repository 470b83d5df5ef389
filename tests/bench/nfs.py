#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Measures NFS-Ganesha and Strata one after the other on the same disk with the same load, and prints the table of both.
#
# Each row is measured on a freshly started server with an empty share, so that no row depends on another. The servers listen on
# loopback only; as root everything runs in network and mount namespaces of its own. NFS-Ganesha needs root (it opens files by
# handle); without, only Strata is measured and the table says so.

import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

import isolation
import nfs_extras
import peers
from nfs_tables import ROWS, figure, readable, table

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent.parent

SERVERS = ["ganesha", "strata"]


def parse_arguments():
    parser = argparse.ArgumentParser(description="Measures NFS-Ganesha and Strata with the same load and prints the table of both.")
    parser.add_argument("--build", default="build/release", help="folder with bin/stratad and bin/nfs_load (build/release)")
    parser.add_argument("--work", help="folder for the servers' data, on the disk to be measured (build/bench)")
    parser.add_argument("--rows", default=",".join(ROWS), help="rows, comma separated")
    parser.add_argument("--only", choices=SERVERS, help="measure one server")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each row; the table has the medians")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--depth", type=int, default=16)
    parser.add_argument("--client-threads", type=int, default=1)
    parser.add_argument("--strata-arguments", default="", help="further arguments for stratad, in one word")
    parser.add_argument("--extras", default="", help=f"comma separated, or all: {', '.join(nfs_extras.EXTRAS)}")
    parser.add_argument("--files-max", type=int, default=1_000_000, help="files of the largest table in the extras")
    parser.add_argument("--idle-max", type=int, default=16000, help="idle connections in the extras")
    parser.add_argument("--sessions", type=int, default=100_000, help="simulated sessions in the extras")
    parser.add_argument("--threads-argument", default="--threads", help="stratad's option for its number of io threads")
    parser.add_argument("--json", help="write all results to this file")
    parser.add_argument("--markdown", help="write the tables to this file")
    options = parser.parse_args()
    options.rows = [row for row in options.rows.split(",") if row]
    for row in options.rows:
        if row not in ROWS:
            parser.error(f"no row {row!r}; there are: {', '.join(ROWS)}")
    options.extras = list(nfs_extras.EXTRAS) if options.extras == "all" else [name for name in options.extras.split(",") if name]
    for name in options.extras:
        if name not in nfs_extras.EXTRAS:
            parser.error(f"no extra {name!r}; there are: {', '.join(nfs_extras.EXTRAS)}")
    options.build = (pathlib.Path.cwd() / options.build).resolve()
    options.work = pathlib.Path(options.work or TREE / "build/bench").resolve()
    options.strata_arguments = options.strata_arguments.split()
    return options


class Bench:
    """Starts servers and loads for one run of this program."""

    def __init__(self, options):
        self.options = options
        self.isolated = False
        self.load_program = options.build / "bin/nfs_load"
        self.strata_program = options.build / "bin/stratad"
        self.kinds = []
        self.not_run = {}
        self.count = 0
        self.ganesha_root = None

    def fail(self, what, failure):
        """Notes that something was not measured; the run goes on and ends with status 1."""
        print(f"bench: {what} FAILED: {failure}", file=sys.stderr, flush=True)
        self.not_run[what] = str(failure).splitlines()[-1]

    def fetch_ganesha(self):
        try:
            self.ganesha_root = peers.fetch_ganesha(self.options.work / "ganesha-package")
        except peers.NotRun as reason:
            print(f"bench: {reason}", file=sys.stderr, flush=True)

    def prepare(self, kind):
        """False, with the reason in not_run, if this machine cannot run that server."""
        try:
            if kind == "ganesha":
                if not self.isolated:
                    raise peers.NotRun("NFS-Ganesha opens files by handle, which needs root")
                self.ganesha_root = peers.fetch_ganesha(self.options.work / "ganesha-package")
            elif not self.strata_program.exists():
                raise peers.NotRun(f"{self.strata_program} is not built")
            self.try_to_start(kind)
        except (peers.NotRun, RuntimeError) as reason:
            self.not_run[kind] = str(reason)
            return False
        return True

    def try_to_start(self, kind):
        server = self.server(kind)
        try:
            server.start()
        finally:
            server.stop()
            server.remove()

    def server(self, kind, arguments=()):
        """A server on an empty folder, not started yet."""
        self.count += 1
        folder = self.options.work / f"{kind}-{self.count}"
        if kind == "ganesha":
            return peers.Ganesha(folder, 22049, self.ganesha_root)
        return peers.Strata(folder, 22050, self.strata_program, [*self.options.strata_arguments, *arguments])

    def load(self, server, *arguments):
        """One run of nfs_load: its JSON lines. RuntimeError if a reply was wrong or the run failed."""
        command = [str(self.load_program), "--server", server.address, "--path", server.path, "--server-pid", str(server.pid), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}\n{done.stderr.strip()}\n{server.last_lines(5)}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def load_row(self, server, row, *arguments):
        options = self.options
        shape = ["--connections", str(options.connections), "--depth", str(options.depth), "--threads", str(options.client_threads)]
        return self.load(server, "--row", row, "--seconds", str(options.seconds), *shape, *arguments)[0]

    def measure_row(self, kind, row, arguments=()):
        """The median run of a row (by operations a second), each on a fresh server."""
        runs = []
        for _ in range(self.options.repeat):
            server = self.server(kind, arguments)
            try:
                server.start()
                runs.append(self.load_row(server, row))
            finally:
                server.stop()
                server.remove()
        runs.sort(key=lambda run: run["ops_per_s"])
        median = dict(runs[len(runs) // 2])
        median["ops_per_s_of_all_runs"] = [run["ops_per_s"] for run in runs]
        return median


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), "?")
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo", encoding="utf-8") if line.startswith("MemTotal"))
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, {memory >> 20} GiB, Linux {platform.release()}"


def commit_id():
    done = subprocess.run(["git", "-C", str(TREE), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run(["git", "-C", str(TREE), "status", "--porcelain", "-uno"], capture_output=True, text=True, check=False)
    return (done.stdout.strip() or "unknown") + (" with changes" if changed.stdout.strip() else "")


def measure_rows(bench):
    results = {}
    for row in bench.options.rows:
        results[row] = {}
        for kind in bench.kinds:
            try:
                results[row][kind] = bench.measure_row(kind, row)
            except (RuntimeError, subprocess.TimeoutExpired) as failure:
                bench.fail(f"{kind} {row}", failure)
                continue
            shown = readable(figure(results[row][kind], ROWS[row][1]), ROWS[row][1])
            print(f"  {kind:8} {row:8} {shown}", file=sys.stderr, flush=True)
    return results


def main():
    options = parse_arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(options)
    if not bench.load_program.exists():
        sys.exit(f"bench: {bench.load_program} is not built (./dev build nfs_load)")
    if options.only != "strata" and not isolation.is_inside():
        bench.fetch_ganesha()  # while the network of the machine can be seen
    bench.isolated = isolation.enter()
    bench.kinds = [kind for kind in SERVERS if options.only in (None, kind) and bench.prepare(kind)]
    results = measure_rows(bench) if bench.kinds else {}
    extras = {name: nfs_extras.EXTRAS[name](bench) for name in options.extras if name == "idle" or "strata" in bench.kinds}

    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    lines = [f"{stamp}, commit {commit_id()}; {machine()}; {options.connections} connections, {options.depth} requests in flight each, "
             f"{options.seconds:g} s a row, median of {options.repeat}.", ""]
    if results:
        lines += [table(results), ""]
    for extra in extras.values():
        lines += [extra["markdown"], ""]
    lines += [f"NOT RUN: {what}: {reason}" for what, reason in bench.not_run.items()]
    text = "\n".join(lines)
    print(text)
    if options.markdown:
        pathlib.Path(options.markdown).write_text(text + "\n", encoding="utf-8")
    if options.json:
        document = {"date": stamp, "commit": commit_id(), "machine": machine(), "rows": results,
                    "extras": {name: extra["results"] for name, extra in extras.items()}, "not_run": bench.not_run}
        pathlib.Path(options.json).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 1 if bench.not_run else 0


if __name__ == "__main__":
    sys.exit(main())
