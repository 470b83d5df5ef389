# SPDX-License-Identifier: Apache-2.0
# The rows of the NFS table and how their figures are shown.

# Row of nfs_load: its words in the table, and what counts: operations or bytes a second.
ROWS = {
    "null": ("NULL calls", "ops"),
    "getattr": ("GETATTR (SEQUENCE+PUTFH+GETATTR)", "ops"),
    "lookup": ("LOOKUP+GETFH+GETATTR", "ops"),
    "read4k": ("READ 4 KiB random, cached", "ops"),
    "write4k": ("WRITE 4 KiB random, unstable + COMMIT", "ops"),
    "read1m": ("READ 1 MiB sequential, cached", "bytes"),
    "write1m": ("WRITE 1 MiB unstable + COMMIT", "bytes"),
    "create": ("OPEN(create)+CLOSE", "ops"),
    "mkdir": ("MKDIR", "ops"),
    "readdir": ("READDIR 32 KiB pages, 10 k entries", "ops"),
}


def readable(value, kind):
    if value is None:
        return "-"
    if kind == "bytes":
        return f"{value / 1e9:.2f} GB/s"
    if value >= 100_000:
        return f"{value / 1000:.0f} k/s"
    if value >= 1000:
        return f"{value / 1000:.1f} k/s"
    return f"{value:.0f} /s"


def figure(result, kind):
    return result["bytes_per_s" if kind == "bytes" else "ops_per_s"] if result else None


def microseconds(result, key):
    return f"{result[key]:.{1 if result[key] < 100 else 0}f}" if result else "-"


def table(results):
    """Markdown of results: {row: {server: result}}."""
    lines = ["| work | NFS-Ganesha | Strata | ratio | server CPU per operation, us: Ganesha / Strata | p50, p99 us: Ganesha | "
             "p50, p99 us: Strata |", "|---|---|---|---|---|---|---|"]
    for row, by_server in results.items():
        words, kind = ROWS[row]
        ganesha, strata = by_server.get("ganesha"), by_server.get("strata")
        before, after = figure(ganesha, kind), figure(strata, kind)
        ratio = f"{after / before:.1f} x" if before and after else "-"
        cpu = " / ".join(microseconds(result, "server_cpu_us_per_op") for result in (ganesha, strata))
        times = [f"{microseconds(result, 'p50_us')}, {microseconds(result, 'p99_us')}" for result in (ganesha, strata)]
        lines.append(f"| {words} | {readable(before, kind)} | {readable(after, kind)} | {ratio} | {cpu} | {times[0]} | {times[1]} |")
    return "\n".join(lines)
