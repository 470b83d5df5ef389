# SPDX-License-Identifier: Apache-2.0
# Scenarios in which one or two clients work on a mount of a server that stays up.
from scenarios import Scenario
from workloads import compiler

ALL_VERSIONS = ["4.2", "4.1", "4.0"]
FEATURES_OF_4_2 = {"xattr", "clone", "seek", "allocate", "copy"}


def tree(stage, where, vers):
    stage.shared_server()
    stage.run_script(where, "tree.sh", vers, 400, FULL=1 if vers == "4.2" or stage.long else 0, CXX=compiler())


def posix(stage, where, vers):
    stage.shared_server()
    features = set(stage.features() & FEATURES_OF_4_2) if vers == "4.2" else set()
    features.add("huge" if vers == "4.2" or stage.long else "small")
    stage.run_script(where, "posix.sh", vers, 400, FEATURES=",".join(sorted(features)))


def permissions(stage, where, vers):
    stage.shared_server()
    stage.run_script(where, "permissions.sh", vers, 60)


def acl(stage, where, vers):
    stage.shared_server()
    stage.run_script(where, "acl.sh", vers, 60, DENY=0 if stage.options.server == "knfsd" else 1)


def shares(stage, where, vers):
    stage.shared_server()
    stage.run_script(where, "shares.sh", vers, 120)


def sqlite(stage, where, vers):
    stage.shared_server()
    stage.run_script(where, "sqlite.sh", vers, 200, TRANSACTIONS=150 if vers == "4.2" or stage.long else 40)


def git(stage, where, vers):
    stage.shared_server()
    stage.run_script(where, "git.sh", vers, 200)


def append(stage, where, vers):
    stage.shared_server()
    count = 10000 if vers == "4.2" or stage.long else 1000
    machines = [stage.guest(1), stage.guest(2)]
    for mode in ("flock", "fcntl"):
        jobs = [machine.start(f"append_{mode}", "append.sh", **stage.environment(vers, MODE=mode, COUNT=count)) for machine in machines]
        for job in jobs:
            job.wait_mark("mounted", stage.limit(60))
        for machine in machines:
            machine.tell(f"go-{mode}")
        done = [stage.finish(f"{where} client {job.guest.index}", job, 200) for job in jobs]
        if not all(done):
            return
        stage.run_script(where, "append_verify.sh", vers, 60, MODE=mode, COUNT=count)
        for machine in machines:
            machine.untell(f"go-{mode}")


SCENARIOS = [
    Scenario("posix", posix, ALL_VERSIONS, "links, nodes, names, sizes, mapping, holes, locks, attributes, directories"),
    Scenario("tree", tree, ALL_VERSIONS, "15,000 files in, compared, packed, unpacked, compiled from, renamed, removed"),
    Scenario("permissions", permissions, ALL_VERSIONS, "uid 1000 and root with and without root squash"),
    Scenario("acl", acl, ALL_VERSIONS, "NFSv4 ACLs: round trip, enforcement, inheritance", {"acl"}),
    Scenario("shares", shares, ALL_VERSIONS, "pseudo root, read-only share, share for other networks"),
    Scenario("append", append, ALL_VERSIONS, "two clients append 10,000 records each under flock, then fcntl"),
    Scenario("sqlite", sqlite, ALL_VERSIONS, "an SQLite database with two writers and its integrity check"),
    Scenario("git", git, ["4.2"], "a git repository: commits, merge, fsck, clone, repack", long_versions=["4.1", "4.0"]),
]
