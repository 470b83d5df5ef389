# SPDX-License-Identifier: Apache-2.0
# A client that is not the Linux kernel: libnfs and its tools, over NFSv4.0, from the server's own network.
import os
import shutil
import subprocess

from scenarios import Scenario


def run(*words, **options):
    return subprocess.run(words, capture_output=True, timeout=60, check=False, **options)


def libnfs(stage, where, _):
    for tool in ("nfs-ls", "nfs-cp", "nfs-cat"):
        if not shutil.which(tool):
            stage.report.skip(where, tool, "libnfs-utils is not installed")
            return
    server = stage.shared_server()
    report = stage.report

    def url(path):
        return f"nfs://{server.address}/share{path}?version=4&nfsport={server.port}"

    source, back = (os.path.join(stage.work, name) for name in ("libnfs-source", "libnfs-back"))
    with open(source, "wb") as out:
        out.write(stage.random.randbytes(3_000_001))
    done = run("nfs-ls", url(""))
    report.expect(where, "list_the_share", done.returncode == 0, done.stderr.decode())
    done = run("nfs-cp", source, url("/from-libnfs"))
    report.expect(where, "copy_in", done.returncode == 0, (done.stdout + done.stderr).decode()[-300:])
    done = run("nfs-ls", url(""))
    lines = [line.split() for line in done.stdout.decode().splitlines() if line.endswith("from-libnfs")]
    report.expect(where, "stat_shows_type_and_size", len(lines) == 1 and lines[0][0].startswith("-rw") and "3000001" in lines[0],
                  done.stdout.decode() + done.stderr.decode())
    done = run("nfs-cp", url("/from-libnfs"), back)
    with open(source, "rb") as left:
        wanted = left.read()
    got = b""
    if os.path.exists(back):
        with open(back, "rb") as right:
            got = right.read()
    report.expect(where, "copy_out_is_equal", got == wanted, f"{len(got)} bytes; {(done.stdout + done.stderr).decode()[-300:]}")
    done = run("nfs-cat", url("/from-libnfs"))
    report.expect(where, "cat_is_equal", done.stdout == wanted, f"{len(done.stdout)} bytes; {done.stderr.decode()[-300:]}")
    done = run("nfs-cat", url("/no-such-file"))
    report.expect(where, "a_missing_file_is_an_error", done.returncode != 0 and not done.stdout, "it was read")
    for path in (source, back):
        if os.path.exists(path):
            os.remove(path)


SCENARIOS = [Scenario("libnfs", libnfs, ["4.0"], "libnfs as an independent client: list, write, read, stat", guests=False)]
