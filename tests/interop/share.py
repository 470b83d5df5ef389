# SPDX-License-Identifier: Apache-2.0
# The shares every run serves: what differs between them is what the scenarios look at.
from dataclasses import dataclass, field


@dataclass
class Share:
    name: str
    uid: int = 0
    gid: int = 0
    mode: str = "0777"
    squash: str = "none"        # none, root or all
    read_only: bool = False
    clients: list = field(default_factory=list)     # networks that may mount it; empty: all


MAIN = Share("share")
SQUASHED = Share("squashed", uid=1000, gid=1000, mode="0755", squash="root")
READ_ONLY = Share("readonly", read_only=True)
ELSEWHERE = Share("elsewhere", clients=["10.99.0.200/32"])
ALL = [MAIN, SQUASHED, READ_ONLY, ELSEWHERE]
