# SPDX-License-Identifier: Apache-2.0
# What the scenarios of one run share: folders, the guests (kept running between scenarios), the server.
import os
import random
import shutil
import time

import guest
import knfsd
import share
import stratad


class Stage:
    def __init__(self, options, work, logs, binaries, build_folder, tree, part, report):
        self.options = options
        self.work = work
        self.logs = logs
        self.binaries = binaries
        self.build_folder = build_folder
        self.tree = tree
        self.part = part
        self.report = report
        self.long = options.long
        self.random = random.Random(options.seed)
        self.server = None
        self._guests = {}

    def limit(self, seconds):
        """A time limit, stretched where the server is a slow build."""
        return seconds * self.options.slow

    def features(self):
        return self.server_class().features

    def server_class(self):
        return knfsd.KnfsdServer if self.options.server == "knfsd" else stratad.StratadServer

    def new_server(self, name="stratad", **arguments):
        return self.server_class()(work=self.work, logs=self.logs, binaries=self.binaries, build_folder=self.build_folder,
                                   program=self.options.stratad, shares=arguments.pop("shares", share.ALL), name=name, **arguments)

    def shared_server(self):
        """The server most scenarios use; started when it is first needed or after a scenario used one of its own."""
        if self.server is None:
            self.server = self.new_server()
            self.server.start()
        return self.server

    def own_server(self, where, **arguments):
        """A fresh server for one scenario, which may kill it; the one before is ended."""
        self.end_server(where)
        self.server = self.new_server(name=f"stratad-{where.replace('@', '-')}", **arguments)
        self.server.start()
        return self.server

    def end_server(self, where, check=True):
        """Ends the server in order, and (unless its stores are damaged on purpose) checks offline what it left."""
        if self.server is None:
            return
        server, self.server = self.server, None
        wrong = server.stop()
        if wrong:
            self.report.fail(where, "server_ends_in_order", wrong)
            print(server.tail(60), flush=True)
        if check and "check" in server.features:
            status, text = server.check()
            self.report.expect(where, "stratad_check_is_clean", status == 0, text[-400:])
        if "check" in server.features:
            server.remove()

    def drop_server(self):
        """After a scenario broke off: the next one gets a fresh server."""
        if self.server is not None:
            print(self.server.tail(40), flush=True)
            self.server.kill()
            if "check" in self.server.features:
                self.server.remove()
            self.server = None

    def server_death(self):
        """Why the server is gone that nobody ended, or None."""
        process = self.server.process if self.server is not None else None
        if process is None or process.poll() is None:
            return None
        return f"the server ended by itself with status {process.returncode}"

    def guest(self, index):
        if index not in self._guests or not self._guests[index].alive:
            self._guests[index] = guest.Guest(index, self.work, self.binaries, self.options.verbose)
            self._guests[index].watch = self.server_death
        return self._guests[index]

    def environment(self, vers, **more):
        """Variables every guest job needs."""
        return {"SERVER": self.server.address, "PORT": self.server.port, "VERS": vers, "SHARE": share.MAIN.name,
                "SQUASHED": share.SQUASHED.name, "READ_ONLY": share.READ_ONLY.name, "ELSEWHERE": share.ELSEWHERE.name,
                "TREE": self.tree, "PART": self.part, **more}

    def run_script(self, where, script, vers, limit_s, index=1, **more):
        """Runs one script in a guest to its end and reports its checks. True when all passed."""
        machine = self.guest(index)
        job = machine.start(script.removesuffix(".sh"), script, **self.environment(vers, **more))
        return self.finish(where, job, limit_s)

    def finish(self, where, job, limit_s):
        reason = None
        try:
            job.wait(self.limit(limit_s))
        except guest.GuestError as error:
            reason = str(error)
        before = self.report.failed
        self.report.take(where, job)
        if reason:
            self.report.fail(where, job.name, reason)
        clean = self.report.failed == before
        if not clean:
            self.keep_logs(where, job.guest)
            job.guest.kill()        # what it left mounted or hanging must not reach the next scenario
        return clean

    def sleep(self, job, seconds):
        """Lets the load run for a while; its output is read meanwhile."""
        until = time.monotonic() + seconds
        job.guest.pump(lambda: time.monotonic() >= until or job.status is not None, seconds + 5, "a pause")

    def keep_logs(self, where, machine):
        for path in (machine.serial_path, machine.console_path):
            kept = os.path.join(self.logs, f"{where.replace('@', '-')}-{machine.name}-{os.path.basename(path)}")
            shutil.copyfile(path, kept)
        print(f"{machine.tails()}\n--- kept in {self.logs}", flush=True)

    def discard_guests(self, where):
        """After a scenario broke off: no guest is in a known state."""
        for machine in self._guests.values():
            self.keep_logs(where, machine)
            machine.kill()
        self._guests = {}

    def close(self):
        for machine in self._guests.values():
            machine.power_off()
        if self.server is not None:
            self.server.kill()


class Timer:
    def __init__(self):
        self.started = time.monotonic()

    def seconds(self):
        return time.monotonic() - self.started
