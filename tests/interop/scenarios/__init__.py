# SPDX-License-Identifier: Apache-2.0
# The scenarios: each is a function (stage, where, vers) in a module of this package, listed in `catalogue`.
from dataclasses import dataclass, field
from typing import Callable


@dataclass
class Scenario:
    name: str
    run: Callable
    versions: list
    purpose: str
    needs: set = field(default_factory=set)     # features of the server; without one of them: NOT RUN
    tools: list = field(default_factory=list)   # programs; without one of them: NOT RUN
    long_versions: list = field(default_factory=list)   # run with --long besides `versions`


def catalogue():
    from scenarios import crash, disks, independent, mounts
    return [*mounts.SCENARIOS, *independent.SCENARIOS, *crash.SCENARIOS, *disks.SCENARIOS]
