# SPDX-License-Identifier: Apache-2.0
# An NFSv4.1 server in memory, just enough for nfs_load, that can be told to be wrong: it shows that nfs_load would notice.

import socket
import struct
import threading

OK, NOENT, EXIST, DELAY = 0, 2, 17, 10008
REGULAR, DIRECTORY = 1, 2
READDIR_BUDGET = 28000
ENTRY_OVERHEAD = 400
ROOT = 1


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def u32(self):
        self.at += 4
        return struct.unpack_from(">I", self.data, self.at - 4)[0]

    def u64(self):
        self.at += 8
        return struct.unpack_from(">Q", self.data, self.at - 8)[0]

    def fixed(self, count):
        begin = self.at
        self.at += (count + 3) & ~3
        return self.data[begin:begin + count]

    def opaque(self):
        return self.fixed(self.u32())

    def words(self):
        return [self.u32() for _ in range(self.u32())]


def u32(*values):
    return struct.pack(f">{len(values)}I", *values)


def u64(*values):
    return struct.pack(f">{len(values)}Q", *values)


def opaque(data):
    return u32(len(data)) + bytes(data) + bytes(-len(data) % 4)


CHANGE_INFO = u32(1) + u64(1, 2)


class Node:
    def __init__(self, number, kind):
        self.number, self.kind = number, kind
        self.data = bytearray()
        self.entries = {}


class StubServer:
    """Serves on a free loopback port in threads. `fault(op_code, result) -> result` may change what an operation answers:
    a pair of its status and the bytes behind the status."""

    def __init__(self, fault=None):
        self.fault = fault or (lambda op, result: result)
        self.lock = threading.Lock()
        self.nodes = {ROOT: Node(ROOT, DIRECTORY)}
        self.clients = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.make(self.nodes[ROOT], b"bench", DIRECTORY)
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def make(self, parent, name, kind):
        node = Node(len(self.nodes) + 1, kind)
        self.nodes[node.number] = node
        parent.entries[bytes(name)] = node
        return node

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            self.answer_all(connection)
        except ConnectionError:
            pass  # the client ends as soon as it has seen something wrong

    def answer_all(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as stream:
            while len(mark := stream.read(4)) == 4:
                request = Reader(stream.read(struct.unpack(">I", mark)[0] & 0x7FFFFFFF))
                with self.lock:
                    reply = self.answer(request)
                connection.sendall(u32(0x80000000 | len(reply)) + reply)

    def answer(self, request):
        xid, _, _, _, _, procedure = (request.u32() for _ in range(6))
        request.u32(), request.opaque(), request.u32(), request.opaque()  # credential and verifier
        head = u32(xid, 1, 0, 0, 0, 0)
        if procedure == 0:
            return head
        request.opaque(), request.u32()  # tag and minor version
        self.current = self.opened = None
        results, count, status = b"", 0, OK
        for _ in range(request.u32()):
            op = request.u32()
            status, body = self.fault(op, getattr(self, f"op_{op}")(request))
            results += u32(op, status) + (body if status == OK else b"")
            count += 1
            if status != OK:
                break
        return head + u32(status, 0, count) + results

    def op_42(self, request):  # EXCHANGE_ID
        request.u64(), request.opaque(), request.u32(), request.u32(), request.u32()
        self.clients += 1
        return OK, u64(self.clients) + u32(1, 0x10000, 0) + u64(0) + opaque(b"stub") + opaque(b"stub") + u32(0)

    def op_43(self, request):  # CREATE_SESSION
        client = request.u64()
        request.u32(), request.u32()
        channels = [request.u32() for _ in range(14)]
        request.u32(), request.u32(), request.u32()
        return OK, u64(1, client) + u32(1, 0) + u32(*channels)

    def op_41(self, request):  # BIND_CONN_TO_SESSION
        session = request.fixed(16)
        request.u32(), request.u32()
        return OK, session + u32(1, 0)

    def op_44(self, request):  # DESTROY_SESSION
        request.fixed(16)
        return OK, b""

    def op_57(self, request):  # DESTROY_CLIENTID
        request.u64()
        return OK, b""

    def op_58(self, request):  # RECLAIM_COMPLETE
        request.u32()
        return OK, b""

    def op_53(self, request):  # SEQUENCE
        session = request.fixed(16)
        sequence, slot, highest, _ = (request.u32() for _ in range(4))
        return OK, session + u32(sequence, slot, highest, highest, 0)

    def op_24(self, _):  # PUTROOTFH
        self.current = self.nodes[ROOT]
        return OK, b""

    def op_22(self, request):  # PUTFH
        self.current = self.nodes[struct.unpack(">Q", request.opaque())[0]]
        return OK, b""

    def op_10(self, _):  # GETFH
        return OK, opaque(u64(self.current.number))

    def op_15(self, request):  # LOOKUP
        name = bytes(request.opaque())
        if name not in self.current.entries:
            return NOENT, b""
        self.current = self.current.entries[name]
        return OK, b""

    def op_6(self, request):  # CREATE
        request.u32()
        name = request.opaque()
        request.words(), request.opaque()
        self.current = self.make(self.current, name, DIRECTORY)
        return OK, CHANGE_INFO + u32(0)

    def op_18(self, request):  # OPEN
        request.u32(), request.u32(), request.u32(), request.u64(), request.opaque()
        create = request.u32() == 1
        if create:
            request.u32(), request.words(), request.opaque()
        request.u32()
        name = bytes(request.opaque())
        if create == (name in self.current.entries):
            return (EXIST if create else NOENT), b""
        self.current = self.make(self.current, name, REGULAR) if create else self.current.entries[name]
        return OK, u32(1) + u64(1) + u32(self.current.number) + CHANGE_INFO + u32(0, 0, 0)

    def op_4(self, request):  # CLOSE
        request.u32()
        return OK, request.fixed(16)

    def op_9(self, request):  # GETATTR
        words = request.words()
        return OK, u32(len(words), *words) + opaque(self.attributes(self.current))

    def attributes(self, node):
        return (u32(node.kind) + u64(1, len(node.data), 1, 1, node.number) + u32(0o644, 1) + opaque(b"0") * 2 + u32(0, 0) + u64(0) +
                (u64(0) + u32(0)) * 3 + u64(node.number))

    def op_25(self, request):  # READ
        request.fixed(16)
        offset, count = request.u64(), request.u32()
        data = self.current.data[offset:offset + count]
        return OK, u32(offset + count >= len(self.current.data)) + opaque(data)

    def op_38(self, request):  # WRITE
        request.fixed(16)
        offset, _, data = request.u64(), request.u32(), request.opaque()
        self.current.data.extend(bytes(max(0, offset + len(data) - len(self.current.data))))
        self.current.data[offset:offset + len(data)] = data
        return OK, u32(len(data), 0) + u64(9)

    def op_5(self, request):  # COMMIT
        request.u64(), request.u32()
        return OK, u64(9)

    def op_26(self, request):  # READDIR
        cookie = request.u64()
        request.u64(), request.u32(), request.u32(), request.words()
        names = list(self.current.entries)
        page = names[cookie:cookie + READDIR_BUDGET // ENTRY_OVERHEAD]
        body = u64(0)
        for number, name in enumerate(page, cookie + 1):
            body += u32(1) + u64(number) + opaque(name) + u32(1, 0) + opaque(u32(0))
        return OK, body + u32(0, cookie + len(page) >= len(names))
