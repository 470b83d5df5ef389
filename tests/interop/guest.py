# SPDX-License-Identifier: Apache-2.0
# Client guests: boots user-mode Linux on a tap, runs job scripts in it and collects what they print.
import os
import queue
import re
import shlex
import signal
import socket
import struct
import subprocess
import threading
import time

import network

HERE = os.path.dirname(os.path.abspath(__file__))
BOOT_LIMIT_S = 60


class GuestError(Exception):
    """A guest that did not boot, died, or went past its time limit."""


def boot_command(init, tap, memory_mb, uml_dir, umid, words):
    """The command line of a guest. Console to standard error, serial line on standard input and output."""
    return ["linux.uml", f"mem={memory_mb}M", "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}",
            f"vec0:transport=tap,ifname={tap},mac=52:54:00:99:00:0{tap[-1]},depth=128,gro=1", "con=null", "con0=null,fd:2", "con1=null",
            "ssl0=fd:0,fd:1", "ssl1=null", f"uml_dir={uml_dir}", f"umid={umid}", "quiet", *words]


def boot(command, console_path, environment):
    console = open(console_path, "ab")
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=console, bufsize=0,
                                env={**os.environ, **environment}, start_new_session=True)
    finally:
        console.close()


def kill_tree(process):
    """Ends a guest at once: its kernel is one process, each address space in it another, all of one group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


class Job:
    """One script running in a guest. `lines` holds all it printed; marks and results are picked out of it."""

    def __init__(self, guest, number, name):
        self.guest = guest
        self.number = number
        self.name = name
        self.started = time.monotonic()
        self.lines = []
        self.checks = []        # (kind, name, reason, seconds since the line before)
        self.result = None
        self.status = None
        self._previous = self.started

    def accept(self, line):
        self.lines.append(line)
        now = time.monotonic()
        found = re.match(r"(OK|FAIL|NOTRUN) (\S+)\s*(.*)", line)
        if found:
            self.checks.append((found[1], found[2], found[3], now - self._previous))
            self._previous = now
        found = re.match(r"RESULT (\d+)", line)
        if found:
            self.result = int(found[1])
        found = re.match(r"JOBEND (\d+) (\d+)", line)
        if found and int(found[1]) == self.number:
            self.status = int(found[2])

    def wait_mark(self, word, limit_s):
        """Until the job printed `MARK word`. Raises when it ended, died or is late before that."""
        self.guest.pump(lambda: f"MARK {word}" in self.lines or self.status is not None, limit_s, f"mark {word} of {self.name}")
        if f"MARK {word}" not in self.lines:
            raise GuestError(f"{self.name} ended before its mark {word}")

    def marks(self, prefix):
        return [line[5:] for line in list(self.lines) if line.startswith(f"MARK {prefix}")]

    def wait(self, limit_s):
        self.guest.pump(lambda: self.status is not None, limit_s, f"end of {self.name}")
        return self


class Guest:
    def __init__(self, index, work, binaries, verbose=False, memory_mb=768):
        self.index = index
        self.binaries = binaries
        self.verbose = verbose
        self.address = network.guest_address(index)
        self.name = f"strata-client-{index}"
        self.folder = os.path.join(work, f"guest{index}-{time.monotonic_ns()}")
        os.makedirs(self.folder)
        self.console_path = os.path.join(self.folder, "console.log")
        self.serial_path = os.path.join(self.folder, "serial.log")
        self.number = 0
        self.job = None
        self.watch = None       # returns why waiting is in vain, or None
        self._lines = queue.Queue()
        command = boot_command(os.path.join(HERE, "guest", "agent.sh"), f"tap{index}", memory_mb, self.folder, self.name,
                               [f"CLIENT={self.address}", f"NAME={self.name}", f"HOSTDIR={self.folder}",
                                f"PEERS={network.peers() or '/nonexistent'}"])
        self.process = boot(command, self.console_path,
                            {"TMPDIR": work, "LD_PRELOAD": os.path.join(binaries, "xstate.so")})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._up = False
        self.pump(lambda: self._up, BOOT_LIMIT_S, "boot")

    def _read(self):
        with open(self.serial_path, "ab", buffering=0) as log:
            try:
                for raw in iter(self.process.stdout.readline, b""):
                    log.write(raw)
                    self._lines.put(raw.decode("utf-8", "replace").rstrip("\r\n"))
            except (OSError, ValueError):
                pass
        self._lines.put(None)

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def pump(self, done, limit_s, what):
        """Reads lines until `done()`; a dead guest or a passed limit kills it and raises."""
        deadline = time.monotonic() + limit_s
        while not done():
            left = deadline - time.monotonic()
            try:
                line = self._lines.get(timeout=max(0.01, min(left, 1.0)))
            except queue.Empty:
                if time.monotonic() >= deadline:
                    self.show_blocked_tasks()
                    self.kill()
                    raise GuestError(f"time limit of {limit_s:.0f} s passed: {what}") from None
                if self.watch and (why := self.watch()):
                    self.kill()     # it would only wait for the server until its limit
                    raise GuestError(f"{why}: {what}") from None
                continue
            if line is None:
                self.kill()
                raise GuestError(f"guest died: {what}")
            if self.verbose:
                print(f"  | {self.name}: {line}", flush=True)
            if line == "AGENT-UP":
                self._up = True
            elif self.job:
                self.job.accept(line)

    def start(self, name, script, **environment):
        """Starts guest/<script> as a job; `environment` becomes its variables."""
        self.number += 1
        self.job = Job(self, self.number, name)
        values = {"BIN": self.binaries, "CLIENT_INDEX": self.index, **environment}
        with open(os.path.join(self.folder, f"job-{self.number}.sh"), "w", encoding="utf-8") as out:
            for key, value in values.items():
                out.write(f"export {key}={shlex.quote(str(value))}\n")
            out.write(f". {HERE}/guest/checks.sh\n. {HERE}/guest/{script}\nfinish\n")
        self.process.stdin.write(f"{self.number}\n".encode())
        return self.job

    def tell(self, word):
        """Lets `wait_for_host word` and the workloads' --until files of the running job return."""
        with open(os.path.join(self.folder, word), "w", encoding="utf-8"):
            pass

    def untell(self, word):
        try:
            os.remove(os.path.join(self.folder, word))
        except FileNotFoundError:
            pass

    def untell_all(self):
        for name in os.listdir(self.folder):
            if name.startswith("meeting-"):
                self.untell(name)

    def show_blocked_tasks(self):
        """Writes the stacks of waiting tasks to the console log: what a hang hangs on. (The stacks of all tasks crash the guest.)"""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            try:
                client.settimeout(5)
                client.bind(os.path.join(self.folder, "asks"))
                client.sendto(struct.pack("=III512s", 0xCAFEBABE, 2, 7, b"sysrq w"), os.path.join(self.folder, self.name, "mconsole"))
                client.recv(1024)
            except OSError:
                pass

    def kill(self):
        if self.process is not None:
            kill_tree(self.process)
            self.process = None

    def power_off(self):
        if self.alive and (self.job is None or self.job.status is not None):
            try:
                self.process.stdin.write(b"off\n")
                self.process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                pass
        self.kill()

    def tails(self, lines=25):
        """The ends of both logs, for a report of failure."""
        texts = []
        for path in (self.serial_path, self.console_path):
            with open(path, "rb") as log:
                text = log.read().decode("utf-8", "replace").splitlines()[-lines:]
            texts.append(f"--- {os.path.basename(path)} of {self.name}\n" + "\n".join(text))
        return "\n".join(texts)
