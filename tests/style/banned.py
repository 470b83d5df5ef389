# SPDX-License-Identifier: Apache-2.0
# Banned calls: nothing touches the world but through the interfaces of server/base, so that the simulator can stand in for it.

import re

from source_tree import Finding, line_of, search_all

# The places where the real world is: the runtime, its simulated twin, load generators, and programs that play a client.
WORLD = ("server/base/", "tests/base/", "tests/sim/", "tests/bench/", "tests/stress/", "tests/interop/")
RUNTIME = ("server/base/",)

# (pattern, what to do instead, places that may)
BANNED = [
    (r"\bstd::j?thread\b|\bstd::async\b|\bpthread_create\b", "start a named pool or task group of server/base", WORLD),
    (r"\bthread_local\b", "pass `const Context&`; a coroutine may resume on another thread", RUNTIME),
    (r"\b(?:steady_clock|system_clock|high_resolution_clock)::now\b|\bclock_gettime\b|\bgettimeofday\b"
     r"|(?<![\w.>])(?:std::)?time\((?:nullptr|NULL|0|&)", "ask the Clock of the Context", WORLD),
    (r"\bchrono::system_clock\b", "ask the Clock of the Context", WORLD),
    (r"\brandom_device\b|(?<![\w.>:])s?rand(?:om)?\(|\bgetrandom\(|\bgetentropy\(|\bRAND_bytes\b", "ask the Random of the Context", WORLD),
    (r"\bsteady_timer\b|\bsystem_timer\b|\bdeadline_timer\b", "sleep on the Clock of the Context", WORLD),
    (r"\bthis_thread::sleep\w*|(?<![\w>.])::sleep\(|\b(?:u|nano)sleep\(|(?:^|[;{}])\s*(sleep\()",
     "sleep on the Clock of the Context", WORLD),
    (r"(?<![\w>])(::(?:open|openat|creat|read|pread|preadv|write|pwrite|pwritev|fsync|fdatasync|fallocate|ftruncate|unlink|rename)\()"
     r"|(?<![\w.>:])((?:openat|pread|preadv|pwrite|pwritev|fdatasync|fsync)\()|\bfopen\(",
     "use Disk", WORLD),
    (r"\bstd::(?:i|o|)fstream\b", "use Disk", WORLD + ("server/main.cpp", "server/config.cpp", "tests/")),
    (r"(?<![\w>])(::(?:socket|connect|accept4?|bind|listen|sendmsg|recvmsg|send|recv|epoll_\w+)\()", "use ByteStream and Listener", WORLD),
    (r"\bgetaddrinfo\(|\bgethostbyname\(", "resolve names on a pool of server/base", WORLD),
    (r"\bgetenv\(", "settings come in the part's configuration struct", ("server/base/", "server/main.cpp", "tests/")),
    (r"\bgoto\b", "use a scope, a loop or a function", ()),
    (r"\busing namespace (?:::)?(?:boost\b|std\b(?!::(?:\w+_)?literals\b))", "name what you use", ("tests/",)),
    (r"(\#\s*include\s*<boost/asio\.hpp>)|(\#\s*include\s*<boost/beast\.hpp>)|(\#\s*include\s*<bits/[^>]*>)",
     "include the exact header", ()),
    (r"\bstd::format\b|\bstd::print(?:ln)?\b|#\s*include\s*<(?:format|print|generator)>", "use fmt: libstdc++ 12 has it not", ()),
    (r"(?<![\w>])assert\(", "use STRATA_ASSERT, which is always on", ("tests/",)),
    (r"#\s*define\s+(?!STRATA_|(?:CO_)?(?:TRY|CHECK_OK)\b)(\w+)", "macros are called STRATA_X", ("tests/",)),
]


def _check(pattern, instead, places):
    def check(tree):
        paths = [path for path in tree.cpp() if not path.startswith(places)] if places else tree.cpp()
        return search_all(tree, paths, pattern, "{found}: " + instead)
    return check


def check_banned(tree):
    for pattern, instead, places in BANNED:
        yield from _check(pattern, instead, places)(tree)


_FAKE_LAMBDA_CATCH = "Task<> f() {\n    try {\n        g();\n    } catch (const E& e) {\n        co_await h();\n    }\n}\n"


def check_await_in_catch(tree):
    """The language forbids it; compilers have accepted it in lambdas inside the handler, with the exception then gone."""
    for path in tree.cpp():
        code = tree.code(path)
        for match in re.finditer(r"\bcatch\s*\([^)]*\)\s*\{", code):
            depth, end = 1, match.end()
            while end < len(code) and depth:
                depth += {"{": 1, "}": -1}.get(code[end], 0)
                end += 1
            if "co_await" in code[match.end():end]:
                yield Finding(path, line_of(code, match.start()), "co_await inside a catch block: remember the error, await after it")


def _flagged(text, path="nfs/ops/a.cpp"):
    return ({path: "\n" + text + "\n"}, path + ":2")


def _passes(text, path="nfs/ops/a.cpp"):
    return ({path: text + "\n"}, None)


CHECKS = [
    ("nothing touches the world but through server/base", check_banned, [
        _flagged("std::thread worker;"), _flagged("std::jthread worker;"), _flagged("auto f = std::async(g);"),
        _flagged("thread_local int depth;"), _flagged("thread_local int depth;", "tests/sim/a.cpp"),
        _flagged("auto now = std::chrono::steady_clock::now();"), _flagged("std::chrono::system_clock::time_point t;"),
        _flagged("auto t = std::time(nullptr);"), _flagged("std::random_device entropy;"), _flagged("int a = rand();"),
        _flagged("boost::asio::steady_timer timer(executor);"), _flagged("    ::sleep(1);"), _flagged("    usleep(1);"),
        _flagged("    nanosleep(&a, &b);"), _flagged("    sleep(1);"), _flagged("std::this_thread::sleep_for(1s);"),
        _flagged("int fd = ::open(path, O_RDONLY);"), _flagged("pread(fd, p, n, 0);"), _flagged("return ::fdatasync(fd);"),
        _flagged("auto* f = fopen(path, mode);"), _flagged("std::ofstream out(path);"), _flagged("int s = ::socket(a, b, c);"),
        _flagged("getaddrinfo(a, b, c, d);"), _flagged("auto* v = std::getenv(name);"), _flagged("goto out;"),
        _flagged("using namespace std;"),
        _flagged("using namespace boost::asio;"), _flagged("#include <boost/asio.hpp>"), _flagged("auto s = std::format(f, 1);"),
        _flagged("    assert(a);"), _flagged("#define MAX 3"), _flagged("boost::asio::steady_timer t;", "tests/nfs/a_test.cpp"),
        _passes("std::thread worker;", "server/base/io_threads.cpp"), _passes("auto n = steady_clock::now();", "tests/bench/a.cpp"),
        _passes("// std::thread is banned here"), _passes('log("goto sleep(1)");'), _passes("co_await ctx.clock.sleep(1s);"),
        _passes("Result<File> FileDisk::open(Path path) {}"), _passes("co_await disk->open(path);"), _passes("auto r = file.read(1);"),
        _passes("static_assert(a);\nSTRATA_ASSERT(b);\n#define STRATA_X 1\nusing namespace std::chrono_literals;\nusing namespace ace;"),
        _passes("Task<> sleep(Duration d);\nint operand(int a);\nauto brand(int a);"), _passes("std::this_thread::get_id();"),
    ]),
    ("no co_await in a catch block", check_await_in_catch, [
        ({"nfs/a.cpp": _FAKE_LAMBDA_CATCH}, "nfs/a.cpp:4"),
        ({"nfs/a.cpp": "Task<> f() {\n    try {\n        co_await g();\n    } catch (...) {\n        failed = true;\n    }\n}\n"}, None),
    ]),
]
