# SPDX-License-Identifier: Apache-2.0
# Scenarios in which one or two clients work on a mount of a server that stays up.
import compound
from scenarios import Scenario
from workloads import compiler

ALL_VERSIONS = ["4.2", "4.1", "4.0"]
FEATURES_OF_4_2 = {"xattr", "clone", "seek", "allocate", "copy"}


def together(stage, where, script, vers, limit_s, at_meeting=None, **more):
    """Runs one script on two clients at once. They meet at `wait_for_both`: all wait for the last, and for at_meeting(number).
    True when all passed."""
    machines = [stage.guest(1), stage.guest(2)]
    for machine in machines:
        machine.untell_all()
    name = script.removesuffix(".sh")
    jobs = [machine.start(name, script, **stage.environment(vers, **more)) for machine in machines]
    meeting = 0
    while not all(job.status is not None for job in jobs):
        meeting += 1
        for job in jobs:
            job.guest.pump(lambda job=job: f"MARK meeting {meeting}" in job.lines or job.status is not None, stage.limit(limit_s),
                           f"meeting {meeting} of {name}")
        if at_meeting and all(job.status is None for job in jobs):
            at_meeting(meeting)
        for machine in machines:
            machine.tell(f"meeting-{meeting}")
    done = [stage.finish(f"{where} client {job.guest.index}", job, limit_s) for job in jobs]
    return all(done)


def tree(stage, where, vers):
    stage.shared_server()
    stage.run_script(where, "tree.sh", vers, 400, FULL=1 if vers == "4.2" or stage.long else 0, CXX=compiler())


def posix(stage, where, vers):
    stage.shared_server()
    features = {vers} | (stage.features() & FEATURES_OF_4_2 if vers == "4.2" else set())
    stage.run_script(where, "posix.sh", vers, 400, FEATURES=",".join(sorted(features)), CHECKS=" ".join(stage.options.check or []))


def permissions(stage, where, vers):
    stage.shared_server()
    stage.run_script(where, "permissions.sh", vers, 60)


def acl(stage, where, vers):
    stage.shared_server()
    stage.run_script(where, "acl.sh", vers, 60, EXACT=1 if "exact_acl" in stage.features() else 0)


def shares(stage, where, vers):
    stage.shared_server()
    stage.run_script(where, "shares.sh", vers, 120, HIDDEN=1 if "hidden_shares" in stage.features() else 0)


def sqlite(stage, where, vers):
    stage.shared_server()
    stage.run_script(where, "sqlite.sh", vers, 200, TRANSACTIONS=150 if vers == "4.2" or stage.long else 40)


def git(stage, where, vers):
    stage.shared_server()
    stage.run_script(where, "git.sh", vers, 200)


def append(stage, where, vers):
    stage.shared_server()
    count = 10000 if vers == "4.2" or stage.long else 1000
    for mode in ("flock", "fcntl"):
        if not together(stage, where, "append.sh", vers, 200, MODE=mode, COUNT=count):
            return
        stage.run_script(where, "append_verify.sh", vers, 60, MODE=mode, COUNT=count)


def directory(stage, where, vers):
    """100,000 entries. With --long the clients make all of them, else most are made by long COMPOUNDs from here."""
    server = stage.shared_server()
    total, by_clients = 100000, 100000 if stage.long else 4000
    others = [f"an-entry-with-a-number-{number}" for number in range(by_clients, total)]

    def at_meeting(number):
        client = compound.CompoundClient(server.address, server.port, stage.limit(60))
        try:
            if number == 2:
                client.make(["share", "many"], others)
            if number == 4:
                client.remove(["share", "many"], others)
            what = {2: "make_by_compounds", 4: "remove_by_compounds"}.get(number)
            if what and others:
                stage.report.ok(where, what)
        except OSError as error:
            stage.report.fail(where, f"compounds_at_meeting_{number}", str(error))
        finally:
            client.close()

    together(stage, where, "directory.sh", vers, 400, at_meeting, ALL=total, FROM=0, TO=by_clients)


SCENARIOS = [
    Scenario("posix", posix, ALL_VERSIONS, "links, nodes, names, sizes, mapping, holes, locks, attributes, directories"),
    Scenario("tree", tree, ALL_VERSIONS, "15,000 files in, compared, packed, unpacked, compiled from, renamed, removed"),
    Scenario("permissions", permissions, ALL_VERSIONS, "uid 1000 and root with and without root squash"),
    Scenario("acl", acl, ALL_VERSIONS, "NFSv4 ACLs: round trip, enforcement, inheritance", {"acl"},
             tools=["nfs4_setfacl", "nfs4_getfacl"]),
    Scenario("shares", shares, ALL_VERSIONS, "pseudo root, read-only share, share for other networks"),
    Scenario("append", append, ALL_VERSIONS, "two clients append 10,000 records each under flock, then fcntl"),
    Scenario("directory", directory, ["4.2"], "two clients fill, list and clear a directory of 100,000 entries",
             long_versions=["4.1", "4.0"]),
    Scenario("sqlite", sqlite, ALL_VERSIONS, "an SQLite database with two writers and its integrity check"),
    Scenario("git", git, ["4.2"], "a git repository: commits, merge, fsck, clone, repack", long_versions=["4.1", "4.0"],
             tools=["git"]),
]
