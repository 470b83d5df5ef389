#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Runs every style check on the tree, after each has shown on its samples that it finds what it is for.
"""
usage: run.py [ROOT]

A check is (sentence, function from a Tree to findings, samples). A sample is ({path: text}, where), `where` being the
"path:line" that must be found, or None when nothing may be found. The last line is "N passed, M failed, K not run".
"""

import os
import sys

import banned
import documents
import formatting
import layers
import names
import portable
import sizes
import unused_files
from source_tree import Tree

MODULES = [layers, sizes, banned, names, unused_files, documents, portable, formatting]
MOST_SHOWN = 40  # findings of one check


def self_test(check, samples):
    """What is wrong with the check itself."""
    wrong = [] if any(expected for _, expected in samples) else ["has no sample that it must find"]
    for files, expected in samples:
        found = {str(finding).split(": ", 1)[0] for finding in check(Tree(files=files))}
        if expected is None and found:
            wrong.append(f"finds {sorted(found)} in a sample without fault: {next(iter(files.values()))[:100]!r}")
        elif expected is not None and expected not in found:
            wrong.append(f"finds {sorted(found)}, not {expected}, in its sample: {next(iter(files.values()))[:100]!r}")
    return wrong


def main():
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../.."))
    tree = Tree(root)
    passed = failed = not_run = 0
    for module in MODULES:
        reason = module.unavailable() if hasattr(module, "unavailable") else None
        for sentence, check, samples in module.CHECKS:
            if reason:
                print(f"NOT RUN {sentence}: {reason}")
                not_run += 1
                continue
            wrong = self_test(check, samples)
            findings = [str(finding) for finding in check(tree)]
            for text in [f"the check itself {fault}" for fault in wrong] + findings[:MOST_SHOWN]:
                print(f"  {text}")
            if len(findings) > MOST_SHOWN:
                print(f"  and {len(findings) - MOST_SHOWN} more")
            bad = bool(wrong or findings)
            print(f"{'FAILED' if bad else 'ok'} {sentence}")
            failed, passed = failed + bad, passed + (not bad)
    print(f"{passed} passed, {failed} failed, {not_run} not run")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
