# SPDX-License-Identifier: Apache-2.0
# Compiles what runs inside the guests, and gathers the tree of files they copy.
import glob
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TREE_FILES_MIN = 15000
TREE_FILE_BYTES_MAX = 48 << 10      # larger files add time, not coverage
TREE_SOURCES = ["/usr/include", "/usr/share", "/usr/lib"]
PROGRAMS = {        # program: (sources, libraries)
    "posix_checks": (["posix/*.cpp"], []),
    "permission_checks": (["permission_checks.cpp"], []),
    "directory_entries": (["directory_entries.cpp"], []),
    "append_records": (["append_records.cpp"], []),
    "fsync_records": (["fsync_records.cpp"], []),
    "sqlite_work": (["sqlite_work.cpp"], ["-lsqlite3"]),
}


def compiler():
    for name in ("g++", "clang++-19", "clang++"):
        if shutil.which(name):
            return name
    return None


def stale(output, inputs):
    return not os.path.exists(output) or any(os.path.getmtime(path) > os.path.getmtime(output) for path in inputs)


def compile_all(folder):
    """Compiles into `folder` what is not up to date. Raises CalledProcessError."""
    os.makedirs(folder, exist_ok=True)
    headers = glob.glob(os.path.join(HERE, "guest", "**", "*.h"), recursive=True)
    for program, (patterns, libraries) in PROGRAMS.items():
        sources = [path for pattern in patterns for path in sorted(glob.glob(os.path.join(HERE, "guest", pattern)))]
        output = os.path.join(folder, program)
        if stale(output, sources + headers):
            subprocess.run([compiler(), "-std=c++20", "-O1", "-Wall", "-Wextra", "-pthread", "-o", output, *sources, *libraries],
                           check=True)
    shim = os.path.join(HERE, "guest", "xstate.c")
    output = os.path.join(folder, "xstate.so")
    if stale(output, [shim]):
        subprocess.run([compiler(), "-x", "c", "-O2", "-Wall", "-shared", "-fPIC", "-o", output, shim, "-ldl"], check=True)


def gather_tree(target):
    """Copies TREE_FILES_MIN small files of this system (headers first) to `target`; returns how many."""
    count = 0
    for top in TREE_SOURCES:
        for folder, folders, files in os.walk(top):
            folders.sort()
            inside = os.path.join(target, folder.lstrip("/"))
            for name in sorted(files):
                source = os.path.join(folder, name)
                if not os.path.islink(source) and (not os.path.isfile(source) or os.path.getsize(source) > TREE_FILE_BYTES_MAX):
                    continue
                os.makedirs(inside, exist_ok=True)
                shutil.copy2(source, os.path.join(inside, name), follow_symlinks=False)
                count += 1
            if count >= TREE_FILES_MIN:
                return count
    return count
