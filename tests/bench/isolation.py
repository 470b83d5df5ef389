# SPDX-License-Identifier: Apache-2.0
# A network and a /run of the benchmark's own, so that no server registers with, or is found by, anything of this machine.

import array
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

MARK = "STRATA_BENCH_ISOLATED"
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def _raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = array.array("B", struct.pack("16sh14x", b"lo", 0))
        fcntl.ioctl(control, SIOCGIFFLAGS, request)
        flags = struct.unpack("16sh14x", request)[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def is_inside():
    return bool(os.environ.get(MARK))


def enter():
    """True inside. As root: begins this program again in new namespaces. Otherwise: False, and all stays as it is."""
    if is_inside():
        _raise_loopback()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        return True
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    if subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        return False
    os.environ[MARK] = "1"
    sys.stdout.flush()
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])
