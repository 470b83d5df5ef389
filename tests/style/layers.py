# SPDX-License-Identifier: Apache-2.0
# Layers: an #include may only point down the picture of ARCHITECTURE.md.

import posixpath
import re

from source_tree import Finding, line_of

# folder -> folders it may include beside itself. The longest folder that fits a path is its layer.
MAY_INCLUDE = {
    "server/base": [],
    "server/vfs": ["server/base"],
    "server/admin": ["server/base"],
    "server": ["*"],  # main, configuration and the appliance, which wires all parts
    "nfs": ["server/base", "server/vfs"],
    "smb": ["server/base", "server/vfs"],
    "cluster": ["server/base", "server/vfs", "server/admin"],
    "webui/api": ["server/base"],
    "webui/service": ["server/base", "webui/api", "server/admin"],
    "webui/client": ["server/base", "webui/api"],
    "webui/cli": ["server/base", "webui/api", "webui/client"],
    "webui/console": ["server/base", "webui/api", "webui/client"],
    "tests": ["*"],
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


def layer_of(path):
    fitting = [layer for layer in MAY_INCLUDE if path.startswith(layer + "/")]
    return max(fitting, key=len) if fitting else None


def includes(tree, path):
    """(line, project path or None, as written) of each quoted include."""
    known = set(tree.paths)
    for match in INCLUDE.finditer(tree.text(path)):
        written = match.group(1)
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(path), written))
        target = written if written in known else beside if beside in known else None
        yield line_of(tree.text(path), match.start(1)), target, written


def check_directions(tree):
    for path in tree.cpp():
        layer = layer_of(path)
        if layer is None:
            yield Finding(path, 0, "lies in no layer of tests/style/layers.py")
            continue
        for line, target, written in includes(tree, path):
            below = layer_of(target or written)
            if below is None or below == layer or "*" in MAY_INCLUDE[layer] or below in MAY_INCLUDE[layer]:
                continue
            yield Finding(path, line, f'{layer} may not include {below} ("{written}")')


def check_found(tree):
    for path in tree.cpp():
        for line, target, written in includes(tree, path):
            if target is None:
                yield Finding(path, line, f'"{written}" is no file of this project, from the root or beside this one; '
                                          "other libraries' headers stand in <>")
            elif target != written and not path.startswith("tests/interop/"):  # compiled alone, inside a guest
                yield Finding(path, line, f'write the path from the root: "{target}"')


CHECKS = [
    ("includes point down the layers", check_directions, [
        ({"nfs/ops/read.cpp": '#include "cluster/chunk/chunk_store.h"\n', "cluster/chunk/chunk_store.h": ""}, "nfs/ops/read.cpp:1"),
        ({"server/base/log.h": '\n#include "server/vfs/share.h"\n', "server/vfs/share.h": ""}, "server/base/log.h:2"),
        ({"smb/a.cpp": '#include "nfs/b.h"\n', "nfs/b.h": ""}, "smb/a.cpp:1"),
        ({"stray/a.cpp": ""}, "stray/a.cpp"),
        ({"cluster/fs/a.cpp": '#include "server/vfs/b.h"\n', "server/vfs/b.h": ""}, None),
        ({"server/appliance.cpp": '#include "cluster/b.h"\n', "cluster/b.h": ""}, None),
    ]),
    ("quoted includes name a file of the project from the root", check_found, [
        ({"nfs/a.cpp": '#include "b.h"\n', "nfs/b.h": ""}, "nfs/a.cpp:1"),
        ({"nfs/a.cpp": '#include "fmt/format.h"\n'}, "nfs/a.cpp:1"),
        ({"nfs/a.cpp": '#include "nfs/b.h"\n#include <fmt/format.h>\n', "nfs/b.h": ""}, None),
    ]),
]
