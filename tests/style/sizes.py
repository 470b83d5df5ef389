# SPDX-License-Identifier: Apache-2.0
# Sizes: files below 500 lines, functions below 70, lines up to 140 columns; exceptions.txt caps what is larger.

from functions import functions
from source_tree import CPP, Finding, is_script

FILE_LINES, FUNCTION_LINES, COLUMNS = 500, 70, 140
EXCEPTIONS = "tests/style/exceptions.txt"
MOST_EXCEPTIONS = 10


def sized(tree):
    return [path for path in tree.with_text() if path.endswith(CPP + (".ts", ".svelte")) or is_script(path)]


def measured(tree):
    """(what, path, line, size, limit) for each file and each function."""
    for path in sized(tree):
        text = tree.text(path)
        yield path, path, 0, text.count("\n"), FILE_LINES
        if not path.endswith((".ts", ".svelte")):
            for function in functions(path, text, tree.code(path)):
                yield f"{path}:{function.name}", path, function.line, function.lines, FUNCTION_LINES


def exceptions(tree):
    """{what: (line, cap, reason)} of `what cap reason` lines; what = path or path:function."""
    found = {}
    if EXCEPTIONS in tree.paths:
        for number, line in enumerate(tree.text(EXCEPTIONS).splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                what, cap, reason = (line.split(None, 2) + ["", ""])[:3]
                found[what] = (number, int(cap) if cap.isdigit() else 0, reason)
    return found


def check_sizes(tree):
    capped = exceptions(tree)
    for what, path, line, size, limit in measured(tree):
        allowed = max(limit, capped.get(what, (0, 0, ""))[1])
        if size > allowed:
            unit = "the file" if what == path else f"{what.split(':', 1)[1]}()"
            yield Finding(path, line, f"{unit} has {size} lines; the limit is {allowed}: split it by phase or by message")


def check_exceptions(tree):
    capped = exceptions(tree)
    largest = {}
    for what, _, _, size, limit in measured(tree):
        if what in capped:
            largest[what] = (max(size, largest.get(what, (0, 0))[0]), limit)
    for what, (line, cap, reason) in capped.items():
        size, limit = largest.get(what, (0, 0))
        if not reason:
            yield Finding(EXCEPTIONS, line, f"{what}: an exception needs its cap and its reason")
        if size <= limit:
            yield Finding(EXCEPTIONS, line, f"{what} is within the limit now, or gone: remove this line")
        elif size < cap:
            yield Finding(EXCEPTIONS, line, f"{what} has shrunk: lower its cap from {cap} to {size}; caps never grow")
    if len(capped) > MOST_EXCEPTIONS:
        yield Finding(EXCEPTIONS, 0, f"{len(capped)} exceptions: more than {MOST_EXCEPTIONS} are a rule that does not hold")


def check_columns(tree):
    for path in tree.with_text():
        if path.endswith((".md", ".txt", ".json")) and not path.endswith("CMakeLists.txt"):
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if len(line) > COLUMNS:
                yield Finding(path, number, f"{len(line)} columns; the limit is {COLUMNS}")


def check_whitespace(tree):
    for path in tree.with_text():
        text = tree.text(path)
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                yield Finding(path, number, "ends in white space")
            if "\t" in line and path.endswith(CPP + (".py",)):
                yield Finding(path, number, "has a tab; indent with four spaces")
        if text and not text.endswith("\n"):
            yield Finding(path, text.count("\n") + 1, "the last line has no end")


_LONG = "    f();\n" * 80
CHECKS = [
    ("files and functions are small", check_sizes, [
        ({"nfs/a.cpp": "//\n" * 501}, "nfs/a.cpp"),
        ({"nfs/a.cpp": "//\n" * 500}, None),
        ({"nfs/a.cpp": "int f() {\n" + _LONG + "}\n"}, "nfs/a.cpp:1"),
        ({"nfs/a.cpp": "namespace a {\nint g();\n\nTask<R<int>> A::f(B b = {1}) const noexcept {\n" + _LONG + "}\n}\n"}, "nfs/a.cpp:4"),
        ({"nfs/a.cpp": "A::A(int a)\n    : a_{a}, b_(a) {\n" + _LONG + "}\n"}, "nfs/a.cpp:1"),
        ({"nfs/a.h": "class A final : public B {\npublic:\n    bool operator()(int) const {\n" + _LONG + "    }\n};\n"}, "nfs/a.h:3"),
        ({"nfs/a.cpp": "template <class T>\n    requires std::is_same_v<T, int>\nauto f(T t) -> int {\n" + _LONG + "}\n"}, "nfs/a.cpp:1"),
        ({"tests/a_test.cpp": "TEST(A, b_c) {\n" + _LONG + "}\n"}, "tests/a_test.cpp:1"),
        ({"nfs/a.cpp": "int f() {\n    auto g = [] {\n" + _LONG + "    };\n}\n"}, "nfs/a.cpp:1"),
        ({"tests/a.py": "def f():\n" + "    g()\n" * 80}, "tests/a.py:1"),
        ({"dev": "f() { # x\n" + _LONG + "}\n"}, "dev:1"),
        ({"nfs/a.cpp": "int f() {\n    return 1;\n}\n\nint g() {\n    return 1;\n}\n" * 12}, None),
        ({"nfs/a.cpp": "constexpr auto ops = std::to_array<Op>({\n" + "    {1, \"x\"},\n" * 80 + "});\n"}, None),
        ({"nfs/a.cpp": "enum class A {\n" + "    b,\n" * 80 + "};\nstruct C {\n" + "    int a;\n" * 80 + "};\n"}, None),
        ({"nfs/a.cpp": "constexpr Op ops[] = {\n" + "    {1, f(2)},\n" * 80 + "};\n"}, None),
        ({"nfs/a.cpp": "int f() {\n" + _LONG + "}\n", EXCEPTIONS: "nfs/a.cpp:f 82 a table\n"}, None),
    ]),
    ("exceptions from the sizes only shrink", check_exceptions, [
        ({"nfs/a.cpp": "int f() {\n" + _LONG + "}\n", EXCEPTIONS: "nfs/a.cpp:f 90 a table\n"}, EXCEPTIONS + ":1"),
        ({"nfs/a.cpp": "int f() {}\n", EXCEPTIONS: "# why\nnfs/a.cpp:f 90 a table\n"}, EXCEPTIONS + ":2"),
        ({EXCEPTIONS: "nfs/gone.cpp 900 big\n"}, EXCEPTIONS + ":1"),
        ({"nfs/a.cpp": "int f() {\n" + _LONG + "}\n", EXCEPTIONS: "nfs/a.cpp:f 82\n"}, EXCEPTIONS + ":1"),
        ({"nfs/a.cpp": "int f() {\n" + _LONG + "}\n", EXCEPTIONS: "nfs/a.cpp:f 82 a table\n"}, None),
    ]),
    ("lines fit 140 columns", check_columns, [
        ({"nfs/a.cpp": "\n//" + "x" * 139 + "\n"}, "nfs/a.cpp:2"),
        ({"nfs/a.cpp": "//" + "x" * 138 + "\n"}, None),
    ]),
    ("no stray white space", check_whitespace, [
        ({"nfs/a.cpp": "int a; \n"}, "nfs/a.cpp:1"),
        ({"nfs/a.cpp": "\tint a;\n"}, "nfs/a.cpp:1"),
        ({"nfs/a.cpp": "int a;"}, "nfs/a.cpp:1"),
        ({"nfs/a.cpp": "int a;\n"}, None),
    ]),
]
