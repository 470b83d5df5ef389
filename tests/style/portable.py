# SPDX-License-Identifier: Apache-2.0
# Portable text: nothing tracked names a folder of the machine it was written on, and no conflict or control character slips in.

import re

from source_tree import Finding, line_of, search_all

# Written in pieces so that this file is not its own finding.
MACHINE_PATHS = r"(?<![\w.$}/-])/(?:wo" + r"rk|ro" + r"ot|Us" + r"ers)/[\w.-]*|\.\./sha" + r"red/|(?<![\w.])/ho" + r"me/\w+/"
SECRETS = r"-----BEGIN (?:[A-Z]+ )*PRIVATE K" + r"EY-----"


def _ours(tree):
    return [path for path in tree.with_text() if path != "LICENSE"]


def check_machine_paths(tree):
    return search_all(tree, _ours(tree), MACHINE_PATHS, "{found}: a path of one machine; name it relative to the tree", of_code=False)


def check_secrets(tree):
    return search_all(tree, _ours(tree), SECRETS, "a private key: tests make their own", of_code=False)


def check_conflicts(tree):
    for path in _ours(tree):
        text = tree.text(path)
        for match in re.finditer(r"^(?:<{7}|>{7}) |^={7}$|[\x00-\x08\x0b-\x1f\ufffd\u202a-\u202e\u2066-\u2069]", text, re.MULTILINE):
            yield Finding(path, line_of(text, match.start()), "a conflict marker, a control character or a byte that is not UTF-8")


CHECKS = [
    ("no path of one machine", check_machine_paths, [
        ({"nfs/a.cpp": "\n// see /wo" + "rk/tree/a\n"}, "nfs/a.cpp:2"),
        ({"docs/a.md": "run /ro" + "ot/bin/x\n"}, "docs/a.md:1"),
        ({"docs/a.md": "see ../sha" + "red/DESIGN.md\n"}, "docs/a.md:1"),
        ({"nfs/a.cpp": "// $HOME/wo" + "rk/x, build/wo" + "rk/y\n"}, None),
    ]),
    ("no private key", check_secrets, [
        ({"tests/a.py": "\n-----BEGIN RSA PRIVATE K" + "EY-----\n"}, "tests/a.py:2"),
        ({"tests/a.py": "-----BEGIN CERTIFICATE-----\n"}, None),
    ]),
    ("clean text", check_conflicts, [
        ({"nfs/a.cpp": "int a;\n<<<<<<" + "< main\n"}, "nfs/a.cpp:2"),
        ({"nfs/a.cpp": "int a;\x01\n"}, "nfs/a.cpp:1"),
        ({"nfs/a.cpp": "// <<<<<<< is no marker here: ä\n"}, None),
    ]),
]
