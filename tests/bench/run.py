#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Starts one benchmark: what `./dev bench NAME` calls. `run.py [--build DIR] nfs [options of nfs.py]`.

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
NAMES = ["nfs"]


def main():
    words = sys.argv[1:]
    passed_on = []
    if words[:1] == ["--build"] and len(words) >= 2:
        passed_on, words = words[:2], words[2:]
    name = words[0] if words and not words[0].startswith("-") else "nfs"
    if name not in NAMES:
        sys.exit(f"bench: no benchmark {name!r}; there are: {', '.join(NAMES)}")
    rest = words[1:] if words[:1] == [name] else words
    os.execv(sys.executable, [sys.executable, str(HERE / f"{name}.py"), *passed_on, *rest])


if __name__ == "__main__":
    main()
