# SPDX-License-Identifier: Apache-2.0
# A client that is not the Linux kernel: libnfs and its tools, over NFSv4.0, from the server's own network.
import os
import subprocess

from scenarios import Scenario

LARGE_BYTES = 3_000_001
SMALL_BYTES = 3_000     # libnfs 4.0.0 cannot encode an NFSv4 WRITE of 4,000 bytes


def run(*words):
    return subprocess.run(words, capture_output=True, timeout=60, check=False)


def errors(done):
    return (done.stdout[-200:] + done.stderr[-200:]).decode("utf-8", "replace").strip()


def libnfs(stage, where, _):
    server = stage.shared_server()
    machine = stage.guest(1)
    machine.untell("libnfs-done")
    large, small = stage.random.randbytes(LARGE_BYTES), stage.random.randbytes(SMALL_BYTES)
    for name, data in (("large", large), ("small", small)):
        with open(os.path.join(machine.folder, name), "wb") as out:
            out.write(data)
    kernel = machine.start("libnfs", "libnfs.sh", **stage.environment("4.2"))
    kernel.wait_mark("written", stage.limit(60))
    use_tools(stage, where, server, machine.folder, large, small)
    machine.tell("libnfs-done")
    stage.finish(where, kernel, 60)


def use_tools(stage, where, server, folder, large, small):
    report = stage.report

    def url(path):
        return f"nfs://{server.address}/share{path}?version=4&nfsport={server.port}"

    done = run("nfs-cp", os.path.join(folder, "small"), url("/from-libnfs"))
    report.expect(where, "copy_in", done.returncode == 0, errors(done))
    done = run("nfs-ls", url(""))
    rows = [line.split() for line in done.stdout.decode("utf-8", "replace").splitlines()]
    sizes = {words[-1]: (words[0], words[-2]) for words in rows if len(words) > 4}
    report.expect(where, "list_the_share", done.returncode == 0 and "from-kernel" in sizes, errors(done))
    mode, size = sizes.get("from-libnfs", ("", ""))
    report.expect(where, "stat_shows_type_and_size", mode.startswith("-rw") and size == str(SMALL_BYTES), f"{sizes}")
    back = os.path.join(folder, "back")
    done = run("nfs-cp", url("/from-kernel"), back)
    got = b""
    if os.path.exists(back):
        with open(back, "rb") as file:
            got = file.read()
    report.expect(where, "copy_out_is_equal", got == large, f"{len(got)} bytes; {errors(done)}")
    done = run("nfs-cat", url("/from-kernel"))
    report.expect(where, "cat_of_a_large_file", done.stdout == large, f"{len(done.stdout)} bytes")
    done = run("nfs-cat", url("/from-libnfs"))
    report.expect(where, "cat_of_a_small_file", done.stdout == small, f"{len(done.stdout)} bytes; {done.stderr[-200:]}")
    done = run("nfs-cat", url("/no-such-file"))
    report.expect(where, "a_missing_file_is_an_error", done.returncode != 0 and not done.stdout, "it was read")


SCENARIOS = [Scenario("libnfs", libnfs, ["4.0"], "libnfs as an independent client: list, write, read, stat, beside a kernel",
                      tools=["nfs-ls", "nfs-cp", "nfs-cat"])]
