# SPDX-License-Identifier: Apache-2.0
# Formatting: clang-format-19 with the project's .clang-format would change nothing.

import os
import re
import shutil
import subprocess
import tempfile

from source_tree import Finding

FORMATTER = "clang-format-19"


def unavailable():
    return None if shutil.which(FORMATTER) else f"{FORMATTER} is not installed"


def check_format(tree):
    paths = tree.cpp()
    if tree.root:
        yield from _format(tree.root, paths)
        return
    with tempfile.TemporaryDirectory() as root:  # samples
        for path in paths:
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(tree.text(path))
        shutil.copy(os.path.join(os.path.dirname(__file__), "../../.clang-format"), root)
        yield from _format(root, paths)


def _format(root, paths):
    """The first place in each file that would change."""
    seen = set()
    for start in range(0, len(paths), 50):
        command = [FORMATTER, "--dry-run", "--ferror-limit=1", *paths[start:start + 50]]
        run = subprocess.run(command, cwd=root, capture_output=True, text=True)
        for match in re.finditer(r"^(\S+?):(\d+):\d+: (?:warning|error)", run.stderr, re.MULTILINE):
            if match.group(1) not in seen:
                seen.add(match.group(1))
                yield Finding(match.group(1), int(match.group(2)), "is not formatted: ./dev fmt")


CHECKS = [
    ("the sources are formatted", check_format, [
        ({"nfs/a.cpp": "int a;\nint  f( ) {\nreturn 1; }\n"}, "nfs/a.cpp:2"),
        ({"nfs/a.cpp": "int a;\nint f() { return 1; }\n"}, None),
    ]),
]
