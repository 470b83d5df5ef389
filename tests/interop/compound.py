# SPDX-License-Identifier: Apache-2.0
# A minimal NFSv4.0 client that fills and clears a directory with long, pipelined COMPOUNDs (RFC 7530).
#
# A kernel in user mode makes two to four thousand entries a second. Where the number of entries is the subject and not who
# makes them, this client is faster, and it sends what the Linux kernel never does: many operations in one COMPOUND.
import collections
import itertools
import os
import socket
import struct

PUTROOTFH, LOOKUP, SAVEFH, RESTOREFH, CREATE, REMOVE = 24, 15, 32, 31, 6, 28
NF4LNK, NF4FIFO = 5, 7
PER_COMPOUND = 12       # entries; two operations each and three to get there stay below every server's limit
IN_FLIGHT = 8


def opaque(data):
    return struct.pack(">I", len(data)) + data + b"\0" * (-len(data) % 4)


class CompoundClient:
    """One connection as root; raises OSError when the server answers with an error or goes away."""

    def __init__(self, address, port, limit_s=60):
        self.socket = socket.create_connection((address, port), timeout=limit_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.xids = itertools.count(int.from_bytes(os.urandom(3), "big"))
        self.pending = collections.deque()
        credential = struct.pack(">I", 0) + opaque(b"strata-interop") + struct.pack(">III", 0, 0, 0)
        self.header = struct.pack(">IIIII", 0, 2, 100003, 4, 1) + struct.pack(">I", 1) + opaque(credential) + struct.pack(">II", 0, 0)

    def close(self):
        self.socket.close()

    def send(self, operations):
        xid = next(self.xids) & 0xFFFFFFFF
        body = self.header + opaque(b"") + struct.pack(">II", 0, len(operations)) + b"".join(operations)
        record = struct.pack(">I", xid) + body
        self.socket.sendall(struct.pack(">I", 0x80000000 | len(record)) + record)
        self.pending.append(xid)
        if len(self.pending) >= IN_FLIGHT:
            self.receive()

    def drain(self):
        while self.pending:
            self.receive()

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise OSError("the server closed the connection")
            data += more
        return data

    def receive(self):
        record, last = b"", False
        while not last:
            mark, = struct.unpack(">I", self._exactly(4))
            last = bool(mark & 0x80000000)
            record += self._exactly(mark & 0x7FFFFFFF)
        xid, kind, denied, _, length = struct.unpack_from(">IIIII", record)
        at = 20 + length + (-length % 4)
        accepted, status = struct.unpack_from(">II", record, at) if kind == 1 and denied == 0 else (1, 0)
        if xid not in self.pending or accepted != 0 or status != 0:
            raise OSError(f"COMPOUND failed: accepted {accepted}, nfsstat4 {status}")
        self.pending.remove(xid)

    def in_directory(self, path, operations, batch):
        """Runs each of `operations` (bytes) with `path` as the current directory, `batch` to a COMPOUND."""
        walk = [struct.pack(">I", PUTROOTFH)] + [struct.pack(">I", LOOKUP) + opaque(part.encode()) for part in path]
        save, restore = struct.pack(">I", SAVEFH), struct.pack(">I", RESTOREFH)
        for start in range(0, len(operations), batch):
            words = [*walk, save]
            for operation in operations[start:start + batch]:
                words += [operation, restore]
            self.send(words)
        self.drain()

    def make(self, path, names):
        """Symbolic links and fifos, by turns."""
        link = struct.pack(">II", CREATE, NF4LNK) + opaque(b"somewhere")
        fifo = struct.pack(">II", CREATE, NF4FIFO)
        no_attributes = struct.pack(">II", 0, 0)
        self.in_directory(path, [(link if index % 2 else fifo) + opaque(name.encode()) + no_attributes
                                 for index, name in enumerate(names)], PER_COMPOUND)

    def remove(self, path, names):
        self.in_directory(path, [struct.pack(">I", REMOVE) + opaque(name.encode()) for name in names], PER_COMPOUND)
