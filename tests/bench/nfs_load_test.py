#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# nfs_load measures an honest server and refuses to measure a wrong one. Usage: nfs_load_test.py PATH-OF-NFS_LOAD

import json
import os
import struct
import subprocess
import sys
import unittest

from stub_server import DELAY, OK, StubServer

PROGRAM = ""
GETATTR, LOOKUP, READ, READDIR, WRITE, COMMIT, SEQUENCE, OPEN = 9, 15, 25, 26, 38, 5, 53, 18
SMALL = ["--connections", "2", "--depth", "4", "--seconds", "0.2", "--warm-up", "0", "--files", "8", "--entries", "200", "--file-mib", "2",
         "--commit-every", "8", "--operations", "400"]


class OnceAfter:
    """A fault that strikes one operation, once, after it was right `times` times."""

    def __init__(self, op, times, change):
        self.op, self.left, self.change = op, times, change

    def __call__(self, op, result):
        if op != self.op:
            return result
        self.left -= 1
        return self.change(result) if self.left == 0 else result


def run(fault, *arguments):
    server = StubServer(fault)
    try:
        command = [PROGRAM, "--server", server.address, "--path", "/bench", "--server-pid", str(os.getpid()), *SMALL, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    finally:
        server.close()


class NfsLoad(unittest.TestCase):
    def fails(self, text, fault, *arguments):
        done = run(fault, *arguments)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("FAILED", done.stderr)
        self.assertIn(text, done.stderr)

    def test_measures_every_row_of_an_honest_server(self):
        done = run(None, "--row", "all")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(rows), 10)
        for row in rows:
            self.assertGreater(row["operations"], 0, row)
            self.assertGreater(row["ops_per_s"], 0, row)
            self.assertGreaterEqual(row["p99_us"], row["p50_us"], row)

    def test_stops_at_the_number_of_operations_asked_for(self):
        row = json.loads(run(None, "--row", "getattr", "--seconds", "60").stdout)
        self.assertGreaterEqual(row["operations"], 400)
        self.assertLess(row["operations"], 400 + 2 * 8)  # in flight, and answered in the same turn

    def test_drives_connections_from_several_threads_and_in_one_session(self):
        done = run(None, "--row", "getattr,write4k", "--threads", "2", "--one-session")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_names_the_operation_and_status_of_a_wrong_answer(self):
        self.fails("GETATTR: NFS4ERR_STALE (70)", OnceAfter(GETATTR, 30, lambda _: (70, b"")), "--row", "getattr")

    def test_notices_the_bytes_of_another_block(self):
        wrong = lambda result: (OK, result[1][:8] + bytes(7) + b"\x55" + result[1][16:])
        self.fails("another place", OnceAfter(READ, 30, wrong), "--row", "read4k")

    def test_notices_one_wrong_byte_where_it_compares_in_full(self):
        wrong = lambda result: (OK, result[1][:2000] + bytes([result[1][2000] ^ 1]) + result[1][2001:])
        self.fails("wrong bytes", OnceAfter(READ, 30, wrong), "--row", "read4k", "--verify-every", "1")

    def test_notices_a_short_read(self):
        self.fails("fewer bytes", OnceAfter(READ, 30, lambda _: (OK, struct.pack(">II", 1, 0))), "--row", "read4k")

    def test_notices_a_write_that_was_lost(self):
        class Forgets(StubServer):
            def op_38(self, request):
                begin = request.at
                self.writes = getattr(self, "writes", 0) + 1
                if self.writes <= 1024:  # set-up: two files of 2 MiB
                    return super().op_38(request)
                request.at = begin + 28
                data = request.opaque()
                return OK, struct.pack(">IIQ", len(data), 0, 9)

        server = Forgets()
        command = [PROGRAM, "--server", server.address, "--path", "/bench", *SMALL, "--row", "write4k"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        server.close()
        self.assertEqual(done.returncode, 1)
        self.assertIn("another place or time", done.stderr)

    def test_notices_a_write_verifier_that_changes(self):
        self.fails("verifier", OnceAfter(COMMIT, 4, lambda _: (OK, struct.pack(">Q", 10))), "--row", "write4k")

    def test_notices_an_entry_that_readdir_leaves_out(self):
        def skip_first(result):
            body = result[1]
            name_length = struct.unpack_from(">I", body, 20)[0]
            return OK, body[:8] + body[24 + (name_length + 3 & ~3) + 16:]

        self.fails("entries of 200", OnceAfter(READDIR, 10, skip_first), "--row", "readdir")

    def test_notices_the_reply_of_another_slot(self):
        wrong = lambda result: (OK, result[1][:20] + struct.pack(">I", 99) + result[1][24:])
        self.fails("another slot", OnceAfter(SEQUENCE, 60, wrong), "--row", "getattr")

    def test_repeats_what_the_server_delays(self):
        done = run(OnceAfter(LOOKUP, 30, lambda _: (DELAY, b"")), "--row", "lookup")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(json.loads(done.stdout)["delays"], 1)

    def test_refuses_addresses_beyond_loopback(self):
        done = subprocess.run([PROGRAM, "--server", "192.0.2.1:2049", "--path", "/", "--row", "null"], capture_output=True, text=True,
                              timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--allow-address", done.stderr)

    def test_reports_the_memory_of_idle_connections(self):
        done = run(None, "--mode", "idle", "--count", "20", "--sessions")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(json.loads(done.stdout)["connected"], 20)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
