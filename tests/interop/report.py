# SPDX-License-Identifier: Apache-2.0
# What a run found: one line a check, the sum at the end.
import sys


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.not_run = 0
        self.failures = []

    def _print(self, kind, where, name, reason, seconds):
        taken = f"  ({seconds:.1f} s)" if seconds is not None and seconds >= 1 else ""
        print(f"{kind:8}{where} {name}{taken}{': ' + reason if reason else ''}", flush=True)

    def ok(self, where, name, seconds=None):
        self.passed += 1
        self._print("ok", where, name, "", seconds)

    def fail(self, where, name, reason, seconds=None):
        self.failed += 1
        self.failures.append(f"{where} {name}: {reason}")
        self._print("FAIL", where, name, reason, seconds)

    def skip(self, where, name, reason):
        self.not_run += 1
        self._print("NOT RUN", where, name, reason, None)

    def expect(self, where, name, holds, reason=""):
        if holds:
            self.ok(where, name)
        else:
            self.fail(where, name, reason)
        return holds

    def take(self, where, job):
        """The checks of a guest's job, once it ended. A job without its RESULT line has failed."""
        for kind, name, reason, seconds in job.checks:
            if kind == "OK":
                self.ok(where, name, seconds)
            elif kind == "FAIL":
                self.fail(where, name, reason, seconds)
            else:
                self.skip(where, name, reason)
        if job.result is None:
            self.fail(where, job.name, f"no RESULT line; last: {job.lines[-1] if job.lines else 'nothing printed'}")
        elif job.result != sum(1 for check in job.checks if check[0] == "FAIL"):
            self.fail(where, job.name, f"RESULT {job.result} does not fit the FAIL lines")

    def summary(self):
        if self.failures:
            print("\nFailures:")
            for line in self.failures:
                print(f"  {line[:600]}")
        print(f"{self.passed} passed, {self.failed} failed, {self.not_run} not run")
        sys.stdout.flush()
        return 0 if self.failed == 0 else 1
