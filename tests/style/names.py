# SPDX-License-Identifier: Apache-2.0
# Names: words that hide a missing noun, the case of file and test names, and the first two lines of every file.

import re

from source_tree import CPP, Finding, is_script, line_of

# util, helper and their kin say that nobody found the noun.
BANNED_WORDS = ("util", "utils", "utility", "utilities", "helper", "helpers", "manager", "managers", "common", "misc", "impl")
DECLARED = re.compile(r"\b(?:namespace|class|struct|union|enum(?:\s+(?:class|struct))?|concept|using)\s+(?:\[\[[^\]]*\]\]\s*)?(\w+)")
TEST = re.compile(r"\bTEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)")
LICENCE = "SPDX-License-Identifier: Apache-2.0"


def words_of(name):
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def banned_word(name):
    return next((word for word in words_of(name) if word in BANNED_WORDS), None)


def check_words(tree):
    for path in tree.paths:
        for part in path.split("/"):
            word = banned_word(part)
            if word:
                yield Finding(path, 0, f"the name says '{word}': say what it is")
    for path in tree.cpp():
        code = tree.code(path)
        for match in DECLARED.finditer(code):
            word = banned_word(match.group(1))
            if word and match.group(1) != "Impl":  # one class hidden in a .cpp may be called so
                yield Finding(path, line_of(code, match.start()), f"{match.group(1)} says '{word}': say what it is")


def check_file_case(tree):
    for path in tree.paths:
        if path.endswith(CPP + (".py", ".sh")) and not re.fullmatch(r"[a-z0-9_.]+", path.rsplit("/", 1)[-1]):
            yield Finding(path, 0, "files are named in snake_case")


def check_test_names(tree):
    for path in tree.cpp():
        code = tree.code(path)
        for match in TEST.finditer(code):
            suite, name = match.groups()
            line = line_of(code, match.start())
            if not re.fullmatch(r"[a-z0-9]+(?:_[a-z0-9]+)*", name):
                yield Finding(path, line, f"{name}: a test's name is a sentence in snake_case, without leading, trailing or double _")
            if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", suite):
                yield Finding(path, line, f"{suite}: a suite is the unit in PascalCase")
        if TEST.search(code) and not path.endswith("_test.cpp"):
            yield Finding(path, 0, "files with tests end in _test.cpp")


def check_heads(tree):
    for path in tree.with_text():
        if not path.endswith(CPP) and not is_script(path):
            continue
        mark = "// " if path.endswith(CPP) else "# "
        lines = tree.text(path).split("\n")
        first = 1 if lines[0].startswith("#!") else 0
        if lines[first:first + 1] != [mark + LICENCE]:
            yield Finding(path, first + 1, f"begins with: {mark}{LICENCE}")
        elif len(lines) < first + 2 or not re.match(re.escape(mark.strip()) + r" \S", lines[first + 1]):
            yield Finding(path, first + 2, "the second line says in a comment what the file is for")


def check_header_guards(tree):
    for path in tree.cpp():
        if path.endswith(".h") and not re.search(r"^#pragma once$", tree.code(path), re.MULTILINE):
            yield Finding(path, 0, "a header says #pragma once")


_HEAD = f"// {LICENCE}\n"
CHECKS = [
    ("names say what a thing is", check_words, [
        ({"server/base/util.h": ""}, "server/base/util.h"),
        ({"cluster/common/a.h": ""}, "cluster/common/a.h"),
        ({"nfs/session_manager.cpp": ""}, "nfs/session_manager.cpp"),
        ({"nfs/a.h": "\nclass SessionManager {};\n"}, "nfs/a.h:2"),
        ({"nfs/a.h": "\nnamespace strata::nfs {\nnamespace helpers {\n"}, "nfs/a.h:3"),
        ({"nfs/a.h": "struct DiskImpl;\n"}, "nfs/a.h:1"),
        ({"nfs/a.h": "// a helper\nclass Simple {};\nstruct Commoner {};\n"}, None),
    ]),
    ("files are named in snake_case", check_file_case, [
        ({"nfs/ReadOp.cpp": ""}, "nfs/ReadOp.cpp"),
        ({"nfs/read-op.h": ""}, "nfs/read-op.h"),
        ({"nfs/read_op.cpp": ""}, None),
    ]),
    ("test names are sentences", check_test_names, [
        ({"tests/nfs/a_test.cpp": "TEST(NfsRead, ReturnsEof) {}\n"}, "tests/nfs/a_test.cpp:1"),
        ({"tests/nfs/a_test.cpp": "TEST_F(NfsRead, reads_) {}\n"}, "tests/nfs/a_test.cpp:1"),
        ({"tests/nfs/a_test.cpp": "TEST(NfsRead, reads__twice) {}\n"}, "tests/nfs/a_test.cpp:1"),
        ({"tests/nfs/a_test.cpp": "TEST(nfs_read, reads_twice) {}\n"}, "tests/nfs/a_test.cpp:1"),
        ({"tests/nfs/a.cpp": "TEST(NfsRead, reads_twice) {}\n"}, "tests/nfs/a.cpp"),
        ({"tests/nfs/a_test.cpp": "TEST(NfsRead, past_the_end_returns_no_bytes_and_eof) {}\n"}, None),
    ]),
    ("files begin with the licence and their purpose", check_heads, [
        ({"nfs/a.cpp": "#include <map>\n"}, "nfs/a.cpp:1"),
        ({"nfs/a.cpp": _HEAD + "\n#include <map>\n"}, "nfs/a.cpp:2"),
        ({"tests/a.py": "#!/usr/bin/env python3\nimport os\n"}, "tests/a.py:2"),
        ({"dev": "#!/usr/bin/env bash\nset -e\n"}, "dev:2"),
        ({"nfs/a.cpp": _HEAD + "// READ (25): RFC 8881, section 18.22.\n"}, None),
        ({"tests/a.py": f"#!/usr/bin/env python3\n# {LICENCE}\n# Runs the checks.\n"}, None),
    ]),
    ("headers are guarded", check_header_guards, [
        ({"nfs/a.h": "struct A {};\n"}, "nfs/a.h"),
        ({"nfs/a.h": "// #pragma once\n"}, "nfs/a.h"),
        ({"nfs/a.h": "#pragma once\n"}, None),
    ]),
]
