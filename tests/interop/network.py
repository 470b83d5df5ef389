# SPDX-License-Identifier: Apache-2.0
# Private namespaces of one run: network, mounts and processes, gone with the run however it ends.
#
# The run starts itself again under unshare(1): as root with new network, mount and process namespaces, else with a user
# namespace around them. Nothing has a name on the host, so two runs never meet, and when the first process of the process
# namespace dies the kernel ends everything that was started and takes down bridge, taps and mounts.
import os
import shutil
import signal
import subprocess
import sys

INSIDE = "STRATA_INTEROP_INSIDE"
SERVER_ADDRESS = "10.99.0.1"
KNFSD_ADDRESS = "10.99.0.3"
BRIDGE = "br0"
GUESTS_MAX = 3


def peers():
    """Folder of programs that are unpacked, not installed (nfs-common), or "". Guests look there too."""
    return os.path.abspath(os.environ["STRATA_PEERS"]) if os.environ.get("STRATA_PEERS") else ""


def search_path():
    """Where the programs of hosts and guests are looked for."""
    folders = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    folders += [os.path.join(peers(), name) for name in ("usr/sbin", "usr/bin", "sbin", "bin")] if peers() else []
    return ":".join(folders)


def guest_address(index):
    """Address of client guest 1 to GUESTS_MAX; the knfsd guest is not one of them."""
    return f"10.99.0.{10 + index}"


def unshare_words():
    """The unshare command that works here, or None. Tries the strictest first."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    processes = ["--pid", "--fork", "--kill-child", "--mount-proc"]
    for extra in (processes, []):
        words = ["unshare", *user, "--net", "--mount", *extra]
        probe = subprocess.run([*words, "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
        if probe.returncode == 0:
            return words
    return None


def missing():
    """Why no network of guests can be made here, or None."""
    for tool in ("unshare", "ip", "linux.uml", "mount.nfs4", "busybox", "modprobe", "setpriv", "perl"):
        if not shutil.which(tool, path=search_path()):
            return f"{tool} is not installed"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "no access to /dev/net/tun"
    return None


def enter():
    """Runs this program again inside the namespaces and ends with its status; returns (with a reason) only where that is impossible."""
    words = unshare_words()
    if words is None:
        return "neither root nor user namespaces: unshare(1) is refused"
    outer = subprocess.Popen([*words, "--", sys.executable, *sys.argv], env={**os.environ, INSIDE: "1"})

    def end(number, _):
        # unshare ignores these signals, and the first process of a namespace gets them only if it asked for them (run.py does).
        try:
            with open(f"/proc/{outer.pid}/task/{outer.pid}/children", encoding="utf-8") as children:
                inner = [int(word) for word in children.read().split()] or [outer.pid]
            for pid in inner:
                os.kill(pid, number)
            outer.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            pass
        outer.kill()                # --kill-child takes the rest along
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # the terminal sends it to the run inside as well, which ends
    sys.exit(outer.wait())


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def build():
    """Bridge with the server's address, and a tap for each client guest and for the knfsd guest."""
    ip("link", "set", "lo", "up")
    ip("link", "add", BRIDGE, "type", "bridge", "forward_delay", "0", "stp_state", "0")
    ip("addr", "add", f"{SERVER_ADDRESS}/24", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")
    for index in range(GUESTS_MAX + 1):
        tap = f"tap{index}"
        ip("tuntap", "add", tap, "mode", "tap")
        ip("link", "set", tap, "master", BRIDGE)
        ip("link", "set", tap, "up")
