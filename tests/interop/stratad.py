# SPDX-License-Identifier: Apache-2.0
# The server under test: starts stratad, waits for its `ready:` line, kills, restarts, terminates and checks it.
import json
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


def is_fully_redundant(status):
    """Reads the answer of `stratad status`; the one place that knows its words."""
    return status.get("redundancy") == "whole"


def reader_folder(status):
    """The folder of the metadata replica that the server reads from now."""
    replicas = status.get("metadata", {}).get("replicas", [])
    return next((replica["folder"] for replica in replicas if replica.get("state") == "reader"), None)


class StratadServer:
    name = "stratad"
    address = network.SERVER_ADDRESS
    port = 2049
    features = {"xattr", "clone", "acl", "exact_acl", "hidden_shares", "seek", "allocate", "copy", "reboot", "check", "disks", "terminate"}
    lease_s = LEASE_S

    def __init__(self, work, logs, program, shares, stores=None, policy="ec-4+2", flags=(), name="stratad", **_):
        self.program = program
        self.shares = shares
        self.policy = policy
        self.flags = list(flags)
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
        words = [self.program, "--data", self.data, "--policy", self.policy, "--nfs", f"{self.address}:{self.port}", *self.flags]
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
        return f"[nfs]\nlease_seconds = {LEASE_S}\ngrace_seconds = {LEASE_S}\n"

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
        """`stratad check` on the stopped server."""
        return self.ask("check", limit_s=limit_s)

    def ask(self, *words, limit_s=60):
        """One command to the running server through its control socket: (exit status, output)."""
        done = subprocess.run([self.program, *words, "--data", self.data], capture_output=True, text=True, timeout=limit_s,
                              check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def replace_disk(self, index):
        """Adopts the empty folder at store `index` in place of the store that was lost there."""
        return self.ask("disk", "replace", self.stores[index], self.stores[index])

    def scrub(self, limit_s):
        return self.ask("scrub", limit_s=limit_s)

    def status(self):
        """The running server's own report, {} when it gives none."""
        code, text = self.ask("status")
        try:
            return json.loads(text) if code == 0 else {}
        except ValueError:
            return {}

    def redundancy(self):
        """(full, text): whether the running server says that every byte and the metadata have their full redundancy."""
        status = self.status()
        return is_fully_redundant(status), json.dumps(status)

    def database_store(self):
        """Index of the store with the metadata database that is read from; by the server's words, else by the files' first bytes."""
        folder = reader_folder(self.status()) if self.alive() else None
        for index, store in enumerate(self.stores):
            if folder and (folder == store or folder.startswith(store + "/")):
                return index
        for index, store in enumerate(self.stores):
            for where, _, files in os.walk(store):
                for name in files:
                    with open(os.path.join(where, name), "rb") as file:
                        if file.read(15) == b"SQLite format 3":
                            return index
        return 0

    def tail(self, lines=25):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, "rb") as log:
            return f"--- {os.path.basename(self.log_path)}\n" + "\n".join(log.read().decode("utf-8", "replace").splitlines()[-lines:])
