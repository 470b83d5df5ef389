# SPDX-License-Identifier: Apache-2.0
# Unused files: a source that no CMakeLists.txt names and a header that nothing includes.

import fnmatch
import posixpath
import re

from layers import includes
from source_tree import Finding


def _built(tree):
    """Paths and patterns that CMake files name, relative to the root."""
    for path in tree.paths:
        if not path.endswith(("CMakeLists.txt", ".cmake")):
            continue
        folder = posixpath.dirname(path)
        text = re.sub(r"#[^\n]*", "", tree.text(path)).replace("${CMAKE_CURRENT_SOURCE_DIR}/", "")
        for word in re.findall(r"[^\s()\";]+", text):
            if word.startswith(("${CMAKE_SOURCE_DIR}/", "${PROJECT_SOURCE_DIR}/", "${strata_SOURCE_DIR}/")):
                yield word.split("/", 1)[1], path
            elif word.endswith((".cpp", ".h", ".c")) or "*" in word:
                word = re.sub(r"\$\{\w+\}", "*", word) if "*" in word else word  # a function's argument: any folder
                yield posixpath.normpath(posixpath.join(folder, word)), path
            elif re.search(r"\$\{\w+\}", word) is None and re.fullmatch(r"[\w/]+", word):
                yield posixpath.normpath(posixpath.join(folder, word + ".cpp")), path  # a list of names without .cpp, perhaps


def check_sources(tree):
    named = {pattern for pattern, _ in _built(tree)}
    globs = [pattern for pattern in named if "*" in pattern]
    recursive = [pattern.rsplit("/", 1) for pattern in globs]
    for path in tree.paths:
        # Programs below tests/interop are compiled by the tests themselves, on the mount.
        if not path.endswith(".cpp") or path.startswith("tests/interop/") or path in named:
            continue
        if any(fnmatch.fnmatch(path, pattern) for pattern in globs):
            continue
        if any(len(p) == 2 and path.startswith(p[0] + "/") and fnmatch.fnmatch(path.rsplit("/", 1)[1], p[1]) for p in recursive):
            continue
        # A function of ours may add the suffix: strata_test(read) or strata_fuzz(rpc_record) for read_test.cpp, ...
        if any(re.sub(r"_(?:test|fuzz)\.cpp$", ".cpp", path) == pattern for pattern in named):
            continue
        yield Finding(path, 0, "no CMakeLists.txt builds this file")


def check_headers(tree):
    used = {target for path in tree.cpp() for _, target, _ in includes(tree, path)}
    used |= {pattern for pattern, _ in _built(tree)}  # a precompiled header
    for path in tree.paths:
        if path.endswith(".h") and path not in used:
            yield Finding(path, 0, "nothing includes this header")


def check_named(tree):
    known = set(tree.paths)
    for pattern, where in sorted(set(_built(tree))):
        written = posixpath.relpath(pattern, posixpath.dirname(where) or ".")
        spelled = re.search(r"(?<![\w/.])" + re.escape(written), tree.text(where))  # else a target's name with .cpp added above
        if pattern.endswith(".cpp") and spelled and not set("*$") & set(pattern) and pattern not in known:
            yield Finding(where, 0, f"names {pattern}, which does not exist")


CHECKS = [
    ("every source is built", check_sources, [
        ({"nfs/CMakeLists.txt": "add_library(strata_nfs server.cpp)\n", "nfs/server.cpp": "", "nfs/old.cpp": ""}, "nfs/old.cpp"),
        ({"nfs/CMakeLists.txt": "add_library(strata_nfs # old.cpp\n)\n", "nfs/old.cpp": ""}, "nfs/old.cpp"),
        ({"nfs/CMakeLists.txt": "add_library(strata_nfs ops/read.cpp)\n", "nfs/ops/read.cpp": ""}, None),
        ({"tests/CMakeLists.txt": "file(GLOB tests CONFIGURE_DEPENDS nfs/*_test.cpp)\n", "tests/nfs/a_test.cpp": ""}, None),
        ({"tests/CMakeLists.txt": "file(GLOB_RECURSE S ${FOLDER}/*_test.cpp)\n", "tests/b.cpp": ""}, "tests/b.cpp"),
        ({"tests/CMakeLists.txt": "file(GLOB_RECURSE S ${FOLDER}/*_test.cpp)\n", "tests/nfs/a_test.cpp": ""}, None),
        ({"tests/CMakeLists.txt": "foreach(t nfs/read)\nendforeach()\n", "tests/nfs/read_test.cpp": ""}, None),
    ]),
    ("every header is included", check_headers, [
        ({"nfs/a.h": "", "nfs/b.cpp": '#include "nfs/c.h"\n', "nfs/c.h": ""}, "nfs/a.h"),
        ({"nfs/c.h": "", "nfs/b.cpp": '#include "nfs/c.h"\n'}, None),
        ({"server/base/CMakeLists.txt": "target_precompile_headers(a PRIVATE pch.h)\n", "server/base/pch.h": ""}, None),
    ]),
    ("CMake names only files that exist", check_named, [
        ({"nfs/CMakeLists.txt": "add_library(strata_nfs gone.cpp)\n"}, "nfs/CMakeLists.txt"),
        ({"nfs/CMakeLists.txt": "add_library(strata_nfs here.cpp)\n", "nfs/here.cpp": ""}, None),
        ({"CMakeLists.txt": "add_executable(a_test nfs/a_test.cpp)\ntarget_link_libraries(a_test b)\n", "nfs/a_test.cpp": ""}, None),
    ]),
]
