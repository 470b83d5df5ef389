# SPDX-License-Identifier: Apache-2.0
# The kernel's NFS server in a guest of its own: the reference server, with the same calls as stratad.py.
import glob
import os
import subprocess
import threading
import time

import guest
import network

PACKAGES = ["nfs-kernel-server", "xfsprogs", "libinih1", "liburcu8"]
LEASE_S = 10            # the kernel refuses less
RESTART_GRACE_S = 40    # a killed guest sends no reset, so clients notice only when TCP retransmits
DISK_BYTES = 12 << 30   # sparse


def unpack(folder):
    """Downloads and unpacks (never installs) what the guest needs; returns the folder that is its root."""
    root = os.path.join(folder, "knfsd-root")
    if not os.path.exists(os.path.join(root, "usr/sbin/rpc.nfsd")):
        packages = os.path.join(folder, "knfsd-debs")
        os.makedirs(packages, exist_ok=True)
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=packages, check=True, capture_output=True)
        for package in glob.glob(os.path.join(packages, "*.deb")):
            subprocess.run(["dpkg", "-x", package, root], check=True)
    return root


class KnfsdServer:
    name = "knfsd"
    address = network.KNFSD_ADDRESS
    port = 2049
    features = {"xattr", "clone", "acl", "seek", "allocate", "copy", "reboot"}
    lease_s = LEASE_S

    def __init__(self, work, logs, binaries, build_folder, shares, **_):
        self.work = work
        self.shares = shares
        self.binaries = binaries
        self.root = unpack(build_folder)
        self.folder = os.path.join(work, "knfsd")
        self.log_path = os.path.join(logs, "knfsd.log")
        self.image = os.path.join(self.folder, "disk.img")
        self.process = None
        self.fresh = True
        if not os.path.exists(self.image):
            os.makedirs(self.folder)
            with open(self.image, "wb") as out:
                out.truncate(DISK_BYTES)
            libraries = os.path.join(self.root, "usr/lib/x86_64-linux-gnu")
            subprocess.run([os.path.join(self.root, "sbin/mkfs.xfs"), "-q", "-m", "reflink=1", self.image], check=True,
                           env={**os.environ, "LD_LIBRARY_PATH": libraries})

    def _exports(self):
        words = []
        for share in self.shares:
            squash = {"none": "no_root_squash", "root": "root_squash", "all": "all_squash"}[share.squash]
            options = f"{'ro' if share.read_only else 'rw'},{squash}"
            client = share.clients[0] if share.clients else "*"
            words.append(f"{share.name}:{share.uid}.{share.gid}:{share.mode}:{client}:{options}")
        return ";".join(words)

    def start(self, limit_s=60):
        command = guest.boot_command(os.path.join(guest.HERE, "guest", "knfsd.sh"), "tap0", 1024, self.folder,
                                     f"strata-knfsd-{time.monotonic_ns()}",
                                     [f"ubd0={self.image}", f"ADDR={self.address}", f"NFSD_ROOT={self.root}",
                                      f"LEASE={LEASE_S}", f"GRACE={LEASE_S if self.fresh else RESTART_GRACE_S}", f"EXPORTS={self._exports()}"])
        self.process = guest.boot(command, self.log_path,
                                  {"TMPDIR": self.work, "LD_PRELOAD": os.path.join(self.binaries, "xstate.so")})
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self.process, ready), daemon=True).start()
        if not ready.wait(limit_s) or self.process.poll() is not None:
            raise guest.GuestError(f"knfsd did not start; see {self.log_path}")
        if self.fresh:
            time.sleep(LEASE_S + 1)     # the grace period, which it has even when it knows no client
            self.fresh = False

    def _read(self, process, ready):
        with open(self.log_path, "ab", buffering=0) as log:
            try:
                for raw in iter(process.stdout.readline, b""):
                    log.write(raw)
                    if raw.startswith(b"KNFSD-READY"):
                        ready.set()
            except (OSError, ValueError):
                pass
        ready.set()

    def kill(self):
        if self.process is not None:
            guest.kill_tree(self.process)
            self.process = None

    def stop(self):
        """An orderly end; returns None, as nothing is claimed of how long knfsd takes."""
        if self.process is not None:
            try:
                self.process.stdin.write(b"off\n")
                self.process.wait(20)
            except (OSError, subprocess.TimeoutExpired):
                pass
        self.kill()

    def tail(self, lines=25):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, "rb") as log:
            return "--- knfsd.log\n" + "\n".join(log.read().decode("utf-8", "replace").splitlines()[-lines:])
