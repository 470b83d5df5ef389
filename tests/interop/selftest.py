#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The harness's own tests: what it must notice, it notices. Needs a compiler, but neither guests nor a server.
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import guest
import report
import stores
import stratad
import share
import workloads

HERE = os.path.dirname(os.path.abspath(__file__))
BINARIES = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "interop", "bin")


def run(program, *arguments):
    return subprocess.run([os.path.join(BINARIES, program), *arguments], capture_output=True, text=True, check=False)


class AppendedRecords(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "f")
        writers = [threading.Thread(target=run, args=("append_records", "write", self.path, client, "500", "flock")) for client in "12"]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        with open(self.path, encoding="ascii") as file:
            self.lines = file.readlines()

    def tearDown(self):
        self.folder.cleanup()

    def verify(self, lines):
        with open(self.path, "w", encoding="ascii") as file:
            file.writelines(lines)
        return run("append_records", "verify", self.path, "2", "500").returncode

    def test_whole_records_pass(self):
        self.assertEqual(self.verify(self.lines), 0)

    def test_a_lost_record_is_found(self):
        self.assertEqual(self.verify(self.lines[:200] + self.lines[201:]), 1)
        self.assertEqual(self.verify(self.lines[:-1]), 1)

    def test_a_torn_record_is_found(self):
        self.assertEqual(self.verify(self.lines[:7] + [self.lines[7][:20] + self.lines[8]] + self.lines[9:]), 1)

    def test_a_record_twice_is_found(self):
        self.assertEqual(self.verify(self.lines[:7] + [self.lines[7]] + self.lines[7:]), 1)


class Promises(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.data, self.log, stop = (os.path.join(self.folder.name, name) for name in ("data", "log", "stop"))
        os.mkdir(self.data)
        threading.Timer(1.2, lambda: open(stop, "w", encoding="ascii").close()).start()
        self.assertEqual(run("fsync_records", "write", self.data, self.log, stop, "3").returncode, 0)

    def tearDown(self):
        self.folder.cleanup()

    def promise(self, kind):
        with open(self.log, encoding="ascii") as lines:
            return next(line.split() for line in lines if line.startswith(kind))

    def verify(self):
        return run("fsync_records", "verify", self.data, self.log).returncode

    def test_kept_promises_pass(self):
        self.assertEqual(self.verify(), 0)

    def test_a_changed_byte_is_found(self):
        for kind, at in (("append", 0), ("slot", int(self.promise("slot")[2]) * 4096 + 4095)):
            path = os.path.join(self.data, self.promise(kind)[1])
            with open(path, "r+b") as file:
                file.seek(at)
                byte = file.read(1)
                file.seek(at)
                file.write(bytes([byte[0] ^ 4]))
            self.assertEqual(self.verify(), 1, kind)
            with open(path, "r+b") as file:
                file.seek(at)
                file.write(byte)
        self.assertEqual(self.verify(), 0)

    def test_a_cut_file_is_found(self):
        os.truncate(os.path.join(self.data, self.promise("append")[1]), 1)
        self.assertEqual(self.verify(), 1)

    def test_a_missing_name_is_found(self):
        os.remove(os.path.join(self.data, self.promise("name")[1]))
        self.assertEqual(self.verify(), 1)

    def test_a_returned_name_is_found(self):
        with open(os.path.join(self.data, self.promise("gone")[1]), "w", encoding="ascii"):
            self.assertEqual(self.verify(), 1)


class Lines(unittest.TestCase):
    def job(self, *lines):
        job = guest.Job(None, 1, "job")
        for line in lines:
            job.accept(line)
        result = report.Report()
        result.take("x", job)
        return result

    def test_a_job_without_result_has_failed(self):
        self.assertEqual(self.job("OK a").failed, 1)

    def test_a_result_that_hides_a_failure_is_a_failure(self):
        self.assertEqual(self.job("FAIL a why", "RESULT 0").failed, 2)

    def test_checks_are_counted(self):
        result = self.job("OK a", "NOTRUN b no reason", "noise OK c", "RESULT 0", "JOBEND 1 0")
        self.assertEqual((result.passed, result.failed, result.not_run), (1, 0, 1))


class Commands(unittest.TestCase):
    def test_a_share_becomes_one_word(self):
        self.assertEqual(stratad.share_word(share.SQUASHED), "squashed:owner=1000:1000,mode=0755,squash=root")
        self.assertEqual(stratad.share_word(share.ELSEWHERE), "elsewhere:owner=0:0,mode=0777,squash=none,client=10.99.0.200/32")

    def test_bits_are_flipped_in_data_only(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "f")
            with open(path, "wb") as file:
                file.truncate(1 << 20)
                file.seek(1 << 19)
                file.write(bytes(4096))
            stores.flip_bit(path, stores.random.Random(1))
            with open(path, "rb") as file:
                bytes_set = [byte for byte in file.read() if byte]
            self.assertEqual(len(bytes_set), 1)


if __name__ == "__main__":
    started = time.monotonic()
    workloads.compile_all(BINARIES)
    unittest.main(argv=sys.argv, verbosity=1)
