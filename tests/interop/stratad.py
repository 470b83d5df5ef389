# SPDX-License-Identifier: Apache-2.0
# The server under test: starts stratad, waits for its `ready:` line, kills, restarts, terminates and checks it.
import os
import shutil
import signal
import subprocess
import threading
import time

import guest
import network

LEASE_S = 10
READY_LIMIT_S = 60
END_LIMIT_S = 10        # what the project promises of SIGTERM


def share_word(share):
    words = [f"owner={share.uid}:{share.gid}", f"mode={share.mode}", f"squash={share.squash}"]
    if share.read_only:
        words.append("ro")
    words += [f"client={client}" for client in share.clients]
    return f"{share.name}:{','.join(words)}"


class StratadServer:
    name = "stratad"
    address = network.SERVER_ADDRESS
    port = 2049
    features = {"xattr", "clone", "acl", "exact_acl", "hidden_shares", "seek", "allocate", "copy", "reboot", "check", "disks", "terminate"}
    lease_s = LEASE_S

    def __init__(self, work, logs, program, shares, stores=None, policy="ec-4+2", name="stratad", **_):
        self.program = program
        self.shares = shares
        self.policy = policy
        self.folder = os.path.join(work, f"{name}-{time.monotonic_ns()}")
        self.data = os.path.join(self.folder, "data")
        os.makedirs(self.data)
        self.stores = stores or self._own_stores(6)
        self.log_path = os.path.join(logs, f"{name}.log")
        self.process = None

    def _own_stores(self, count):
        stores = [os.path.join(self.folder, f"store{index}") for index in range(count)]
        for store in stores:
            os.makedirs(store)
        return stores

    def command(self):
        words = [self.program, "--data", self.data, "--policy", self.policy, "--nfs", f"{self.address}:{self.port}"]
        for store in self.stores:
            words += ["--store", store]
        for share in self.shares:
            words += ["--share", share_word(share)]
        config = self.config_text()
        if config:
            path = os.path.join(self.folder, "stratad.toml")
            with open(path, "w", encoding="utf-8") as out:
                out.write(config)
            words += ["--config", path]
        return words

    def config_text(self):
        """Lease and grace short enough for a test; the one place that knows their keys. STRATA_INTEROP_TOML overrides it."""
        given = os.environ.get("STRATA_INTEROP_TOML")
        if given is not None:
            return given
        return f"[nfs]\nlease_s = {LEASE_S}\ngrace_s = {LEASE_S}\n"

    def start(self, limit_s=READY_LIMIT_S):
        errors = open(self.log_path, "ab")
        try:
            errors.write(f"--- {' '.join(self.command())}\n".encode())
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                            start_new_session=True)
        finally:
            errors.close()
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self.process, ready), daemon=True).start()
        if not ready.wait(limit_s):
            self.kill()
            raise guest.GuestError(f"stratad printed no `ready:` line in {limit_s} s\n{self.tail()}")
        if self.process.poll() is not None:
            raise guest.GuestError(f"stratad ended at its start with status {self.process.returncode}\n{self.tail()}")

    def _read(self, process, ready):
        with open(self.log_path, "ab", buffering=0) as log:
            try:
                for raw in iter(process.stdout.readline, b""):
                    log.write(raw)
                    if raw.startswith(b"ready:"):
                        ready.set()
            except (OSError, ValueError):
                pass
        process.wait()
        ready.set()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9, and waited for."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def terminate(self, limit_s=END_LIMIT_S):
        """SIGTERM. Returns (seconds it took, exit status); status None: it had to be killed after 3 x limit_s."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(3 * limit_s)
        except subprocess.TimeoutExpired:
            status = None
        taken = time.monotonic() - started
        self.kill()
        return taken, status

    def stop(self):
        """An orderly end after a scenario, and its files removed. Returns what was wrong with it, or None."""
        wrong = None
        if self.process is not None:
            if not self.alive():
                wrong = f"stratad had ended with status {self.process.returncode}"
                self.process = None
            else:
                taken, status = self.terminate()
                if status != 0 or taken > END_LIMIT_S:
                    wrong = f"stratad took {taken:.1f} s to end after SIGTERM, with status {status}"
        return wrong

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def check(self, limit_s=120):
        """`stratad check --data DIR` on the stopped server: (exit status, output)."""
        done = subprocess.run([self.program, "check", "--data", self.data], capture_output=True, text=True, timeout=limit_s,
                              check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def replace_disk(self, index):
        """Adopts the empty folder of store `index` in place of the lost one, on the running server. (exit status, output)."""
        done = subprocess.run([self.program, "disk", "replace", "--data", self.data, self.stores[index]], capture_output=True,
                              text=True, timeout=60, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def redundancy(self):
        """(restored, text): whether the running server says that every byte has its full redundancy again."""
        done = subprocess.run([self.program, "status", "--data", self.data], capture_output=True, text=True, timeout=30,
                              check=False)
        text = (done.stdout + done.stderr).strip()
        return done.returncode == 0 and "redundancy: full" in text, text

    def database_store(self):
        """Index of a store that holds the metadata database (by the names of its files); 0 where none looks like it."""
        for index, store in enumerate(self.stores):
            for _, _, files in os.walk(store):
                if any(name.endswith((".db", ".sqlite", ".sqlite3")) for name in files):
                    return index
        return 0

    def tail(self, lines=25):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, "rb") as log:
            return f"--- {os.path.basename(self.log_path)}\n" + "\n".join(log.read().decode("utf-8", "replace").splitlines()[-lines:])
