# SPDX-License-Identifier: Apache-2.0
# What `nfs.py --extras` measures of Strata alone: threads, coding, sizes of the file table with restart times, idle memory, sessions
# by the hundred thousand, scrub and repair.
#
# Each extra is a function of the Bench; it returns {"markdown": a table, "results": what went into it}.

import json
import os
import pathlib
import shutil
import subprocess
import time

import nfs_tables

STORES = 6
POLICIES = {
    "single": [],
    "mirror-3": [argument for i in range(3) for argument in ("--store", f"{{folder}}/store-{i}")] + ["--policy", "mirror-3"],
    "ec-4+2": [argument for i in range(STORES) for argument in ("--store", f"{{folder}}/store-{i}")] + ["--policy", "ec-4+2"],
}


def compare(bench, title, variants, rows):
    """Measures rows of Strata with different arguments; `variants`: {name: arguments}."""
    results = {}
    lines = [f"| {title} | " + " | ".join(variants) + " | last to first |", "|---" * (len(variants) + 2) + "|"]
    for row in rows:
        results[row] = {}
        for name, arguments in variants.items():
            try:
                results[row][name] = bench.measure_row("strata", row, arguments)
            except (RuntimeError, subprocess.TimeoutExpired) as failure:
                bench.fail(f"strata {row} {name}", failure)
        words, kind = nfs_tables.ROWS[row]
        figures = [nfs_tables.figure(results[row].get(name), kind) for name in variants]
        ratio = f"{figures[-1] / figures[0]:.2f} x" if figures[0] and figures[-1] else "-"
        lines.append(f"| {words} | " + " | ".join(nfs_tables.readable(value, kind) for value in figures) + f" | {ratio} |")
    return {"markdown": "\n".join(lines), "results": results}


def threads(bench):
    option = bench.options.threads_argument
    rows = ["null", "getattr", "lookup", "read4k", "write4k", "create", "readdir"]
    return compare(bench, "io threads of stratad", {"1": [option, "1"], "2": [option, "2"]}, rows)


def coding(bench):
    return compare(bench, "redundancy", POLICIES, ["write4k", "write1m", "read1m"])


def sizes_up_to(largest):
    sizes = [size for size in (10_000, 100_000, 1_000_000, 10_000_000) if size < largest]
    return [*sizes, largest]


def populate(bench, server, count):
    """Creates `count` files through NFS; returns how many a second."""
    if count == 0:
        return 0.0
    shape = ["--connections", "16", "--depth", "64", "--seconds", "600", "--warm-up", "0"]
    made = bench.load(server, "--row", "create", "--operations", str(count), *shape)[0]
    if made["operations"] < count:
        raise RuntimeError(f"only {made['operations']} of {count} files were made in ten minutes")
    return made["ops_per_s"]


def restart(bench, server):
    """kill -9 and start again: seconds until the ready line, and until the first file was created (grace is over)."""
    server.kill()
    server.start()
    ready = server.start_seconds
    began = time.monotonic()
    bench.load(server, "--row", "create", "--operations", "1", "--connections", "1", "--depth", "1", "--warm-up", "0", "--seconds", "60")
    return ready, ready + time.monotonic() - began


def tables(bench):
    """Rates by the number of files that the volume holds, and kill -9 to serving with so many."""
    lines = ["| files | created/s on the way | GETATTR/s | LOOKUP/s | OPEN(create)+CLOSE/s | resident memory | "
             "kill -9 to ready | to the first create |", "|---|---|---|---|---|---|---|---|"]
    results = []
    server = bench.server("strata")
    try:
        server.start()
        have = 0
        for size in sizes_up_to(bench.options.files_max):
            missing = max(size - have, 0)  # the rows of the last size made files, too
            result = {"files": have + missing, "created_per_s": populate(bench, server, missing)}
            have += missing
            for row in ("getattr", "lookup", "create"):
                measured = bench.load_row(server, row, "--files", str(min(size, 100_000)))
                result[row] = measured["ops_per_s"]
                result["resident_bytes"] = measured["server_resident_bytes"]
                have += measured["operations"] if row == "create" else min(size, 100_000)
            result["ready_seconds"], result["create_seconds"] = restart(bench, server)
            results.append(result)
            rates = " | ".join(f"{result[key]:.0f}" for key in ("created_per_s", "getattr", "lookup", "create"))
            memory = f"{result['resident_bytes'] >> 20} MiB"
            lines.append(f"| {result['files']:,} | {rates} | {memory} | {result['ready_seconds']:.2f} s | "
                         f"{result['create_seconds']:.2f} s |")
    except (RuntimeError, subprocess.TimeoutExpired) as failure:
        bench.fail("strata tables", failure)
    finally:
        server.stop()
        server.remove()
    return {"markdown": "\n".join(lines), "results": results}


def idle(bench):
    """Resident memory without a client, and what an idle connection adds, with and without a session."""
    lines = ["| server | idle connections | asked | resident before | bytes a connection | bytes a connection, upper half |",
             "|---|---|---|---|---|---|"]
    results = []
    for kind in bench.kinds:
        for sessions in ([], ["--sessions"]):
            server = bench.server(kind)
            try:
                server.start()
                asked = bench.options.idle_max
                result = bench.load(server, "--mode", "idle", "--count", str(asked), *sessions)[0]
                results.append({"server": kind, **result})
                what = "with a session" if sessions else "after one NULL call"
                lines.append(f"| {server.name} | {result['connected']:,} {what} | {asked:,} | {result['resident_none'] / 2**20:.0f} MiB | "
                             f"{result['bytes_per_connection']:.0f} | {result['bytes_per_connection_upper_half']:.0f} |")
            except (RuntimeError, subprocess.TimeoutExpired) as failure:
                bench.fail(f"{kind} idle {' '.join(sessions)}", failure)
            finally:
                server.stop()
                server.remove()
    return {"markdown": "\n".join(lines), "results": results}


def sessions(bench):
    """Heap of the server by session, over the simulator's streams: no kernel sets a limit."""
    program = bench.options.build / "bin/session_memory"
    lines = ["| sessions, a connection each | heap of the server by session |", "|---|---|"]
    results = []
    for count in (10_000, bench.options.sessions):
        done = subprocess.run([program, str(count)], capture_output=True, text=True, timeout=3600, check=False)
        if done.returncode != 0:
            bench.fail(f"{count} sessions", done.stderr or f"{program} is not built")
            continue
        results.append(json.loads(done.stdout))
        lines.append(f"| {count:,} | {results[-1]['heap_bytes_per_session']:,.0f} bytes |")
    return {"markdown": "\n".join(lines), "results": results}


def forget_cached_files():
    """So that what follows reads from the disk: the page cache is emptied. False: that needs root."""
    os.sync()
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")
    except OSError:
        return False
    return True


def disk_read_rate(bench, size):
    """Bytes a second of one reader of a large file, past the page cache."""
    path = bench.options.work / "disk-rate"
    try:
        blocks = ["bs=4M", f"count={size >> 22}"]
        subprocess.run(["dd", "if=/dev/urandom", f"of={path}", *blocks, "oflag=direct"], check=True, capture_output=True)
        began = time.monotonic()
        subprocess.run(["dd", f"if={path}", "of=/dev/null", *blocks, "iflag=direct"], check=True, capture_output=True)
        return size / (time.monotonic() - began)
    finally:
        path.unlink(missing_ok=True)


def ask(bench, server, *verb):
    """What a verb of the running stratad prints. RuntimeError if it refuses."""
    done = subprocess.run([bench.strata_program, *verb, "--data", server.folder / "data"], capture_output=True, text=True, timeout=3600,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"stratad {' '.join(verb)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def read_bytes(pid):
    """What a process has read from disks so far."""
    text = pathlib.Path(f"/proc/{pid}/io").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("read_bytes"))


def scrub_and_repair(bench, server):
    """Seconds, and bytes read from the disk, of a whole scrub, and of rebuilding one of six stores; the bytes rebuilt."""
    began, before = time.monotonic(), read_bytes(server.pid)
    ask(bench, server, "scrub")
    scrub = {"seconds": time.monotonic() - began, "read_bytes": read_bytes(server.pid) - before}
    server.stop()
    lost = server.folder / "store-5"
    shutil.rmtree(lost)
    forget_cached_files()
    server.start()
    began, before = time.monotonic(), read_bytes(server.pid)
    ask(bench, server, "disk", "replace", str(lost), str(server.folder / "store-new"))
    while (status := ask(bench, server, "status"))["redundancy"] != "whole":
        if time.monotonic() - began > 1800:
            raise RuntimeError(f"not whole after half an hour: {status['repair']}")
        time.sleep(0.2)
    repair = {"seconds": time.monotonic() - began, "read_bytes": read_bytes(server.pid) - before,
              "mended_bytes": status["repair"]["mended_bytes"]}
    return scrub, repair


def repair(bench):
    """All stores lie on one disk, so that its rate bounds what all of them do together."""
    lines = ["| work at ec-4+2, six stores on one disk | data | time | read from the disk | beside one reader of that disk |",
             "|---|---|---|---|---|"]
    results = {}
    server = bench.server("strata", POLICIES["ec-4+2"])
    try:
        rate = disk_read_rate(bench, 2 << 30)
        server.start()
        # 8 connections with a file of 256 MiB each.
        written = bench.load(server, "--row", "write1m", "--connections", "8", "--depth", "8", "--seconds", "60", "--warm-up", "0",
                             "--operations", "2048")[0]["operations"] << 20
        server.stop()
        if not forget_cached_files():
            raise RuntimeError("emptying the page cache needs root")
        server.start()
        scrub, mended = scrub_and_repair(bench, server)
        results = {"disk_bytes_per_s": rate, "written_bytes": written, "scrub": scrub, "repair": mended}
        for what, work, data in (("scrub", scrub, written), ("repair of a lost store", mended, mended["mended_bytes"])):
            speed = work["read_bytes"] / work["seconds"]
            lines.append(f"| {what} | {data >> 20:,} MiB | {work['seconds']:.1f} s | {speed / 1e6:,.0f} MB/s | "
                         f"{speed / rate:.0%} of {rate / 1e6:,.0f} MB/s |")
    except (RuntimeError, OSError, subprocess.SubprocessError) as failure:
        bench.fail("strata repair", failure)
    finally:
        server.stop()
        server.remove()
    return {"markdown": "\n".join(lines), "results": results}


EXTRAS = {"threads": threads, "coding": coding, "tables": tables, "idle": idle, "sessions": sessions, "repair": repair}
