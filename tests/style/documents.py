# SPDX-License-Identifier: Apache-2.0
# Documents: links lead to files that exist, commands that they name exist, and every script is one the shell can read.

import posixpath
import re
import subprocess

from source_tree import Finding, line_of

LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"\./dev ([a-z]+)")


def documents(tree):
    return [path for path in tree.paths if path.endswith(".md")]


def exists(tree, target):
    return target in tree.paths or any(path.startswith(target.rstrip("/") + "/") for path in tree.paths)


def check_links(tree):
    for path in documents(tree):
        text = tree.text(path)
        for match in LINK.finditer(text):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match.group(1)))
            if not exists(tree, target):
                yield Finding(path, line_of(text, match.start()), f"links to {match.group(1)}, which does not exist")


def check_commands(tree):
    known = set(re.findall(r"^cmd_(\w+)\(\)", "".join(tree.text(path) for path in tree.paths if path == "dev" or path.startswith(".dev/")),
                           re.MULTILINE)) | {"help"}
    for path in documents(tree) + [path for path in tree.paths if path == "dev"]:
        text = tree.text(path)
        for match in COMMAND.finditer(text):
            if match.group(1) not in known:
                yield Finding(path, line_of(text, match.start()), f"names ./dev {match.group(1)}, which is no command")


def check_shell(tree):
    for path in tree.paths:
        if not path.endswith(".sh") and path not in ("dev", ".ci/run"):
            continue
        text = tree.text(path)
        shell = "bash" if "bash" in text.split("\n", 1)[0] or path.startswith(".dev/") else "sh"
        read = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True)
        if read.returncode:
            number = re.search(r"(?:line )?(\d+):", read.stderr)
            yield Finding(path, int(number.group(1)) if number else 0, f"{shell} cannot read it: {read.stderr.strip()[:200]}")


CHECKS = [
    ("links in documents lead somewhere", check_links, [
        ({"README.md": "\n[a](docs/gone.md)\n"}, "README.md:2"),
        ({"docs/a.md": "[a](README.md)\n", "README.md": ""}, "docs/a.md:1"),
        ({"README.md": "[a](docs/) [b](docs/a.md#part) [c](https://example.org)\n", "docs/a.md": "[r](../README.md)\n"}, None),
    ]),
    ("commands in documents exist", check_commands, [
        ({"README.md": "\nrun `./dev frobnicate`\n", "dev": "cmd_build() {\n}\n"}, "README.md:2"),
        ({"README.md": "run `./dev build` or `./dev test --long`, `./dev help`\n", "dev": "cmd_build() {\n}\n",
          ".dev/stages.sh": "cmd_test() {\n}\n"}, None),
    ]),
    ("scripts can be read by their shell", check_shell, [
        ({"tests/a.sh": "#!/bin/sh\nif true; then\n"}, "tests/a.sh:3"),
        ({"tests/a.sh": "#!/bin/sh\nif true; then :; fi\n", "dev": "#!/usr/bin/env bash\na=(1 2)\n"}, None),
    ]),
]
