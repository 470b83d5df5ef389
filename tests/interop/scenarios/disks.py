# SPDX-License-Identifier: Apache-2.0
# Scenarios in which disks vanish, rot or fill up below the server, while clients use it.
import json
import os
import time

import guest
from scenarios import Scenario
from scenarios.crash import end_load, start_load, wait_progress
from stores import Stores

STORE_BYTES = 4 << 30
REBUILD_LIMIT_S = 180


def make_stores(stage, where, count, size):
    stores = Stores(os.path.join(stage.work, f"disks-{time.monotonic_ns()}"), count, size)
    print(f"        {where}: {count} stores, each a {stores.kind} of {size >> 20} MiB", flush=True)
    return stores


def lose_under_load(stage, where, server, load, stores, index, label):
    stores.lose(index)
    try:
        wait_progress(stage, load, 60, 50)
    except guest.GuestError as error:
        stage.report.fail(where, label, f"{error}\n{server.tail(40)}")
        raise
    stage.report.expect(where, label, server.alive(), "the server has ended")


def wait_redundancy(stage, server, load):
    """Polls the server until it reports full redundancy: (whether it did, what it said last)."""
    deadline = time.monotonic() + stage.limit(REBUILD_LIMIT_S)
    while True:
        restored, text = server.redundancy()
        if restored or time.monotonic() > deadline:
            return restored, text
        if load.status is None:
            stage.sleep(load, 1)
        else:
            time.sleep(1)


def disks(stage, where, vers):
    stores = make_stores(stage, where, 6, STORE_BYTES)
    server = stage.own_server(where, stores=stores.paths, policy="ec-4+2")
    report = stage.report
    load, contender = start_load(stage, where, vers, stage.random.randrange(1 << 30))
    restored, text = server.redundancy()
    report.expect(where, "redundancy_is_full_at_first", restored, text[-300:])

    first = server.database_store()
    second = stage.random.choice([index for index in range(6) if index != first])
    print(f"        {where}: stores {first} and {second} vanish", flush=True)
    lose_under_load(stage, where, server, load, stores, first, "goes_on_without_the_store_of_the_database")
    lose_under_load(stage, where, server, load, stores, second, "goes_on_without_a_second_store")
    restored, text = server.redundancy()
    report.expect(where, "the_loss_is_reported", not restored, text[-300:])
    server.kill()
    server.start()
    wait_progress(stage, load, 90, 20)
    report.ok(where, "restarts_without_the_two")

    for index in (first, second):
        stores.insert(index)
        status, text = server.replace_disk(index)
        report.expect(where, f"disk_replace_{index}", status == 0, text[-300:])
    restored, text = wait_redundancy(stage, server, load)
    report.expect(where, "redundancy_is_restored_and_reported", restored, text[-300:])

    if restored:    # only a full rebuild survives the loss of two others
        others = [index for index in range(6) if index not in (first, second)]
        for index in stage.random.sample(others, 2):
            lose_under_load(stage, where, server, load, stores, index, f"goes_on_without_store_{index}_after_the_rebuild")
    end_load(stage, where, load, contender)
    stage.end_server(where, check=False)
    stores.remove()


def scrub_until_clean(stage, where, server, load):
    """A scrub finds what reading has not mended yet; after the repair a second one finds nothing."""
    status, text = server.scrub(stage.limit(120))
    found = json.loads(text) if status == 0 else {}
    stage.report.expect(where, "scrub_checks_the_shards", found.get("checked", 0) > 0, text[-300:])
    print(f"        {where}: scrub says {text[-200:]}", flush=True)
    restored, text = wait_redundancy(stage, server, load)
    stage.report.expect(where, "redundancy_is_restored", restored, text[-300:])
    status, text = server.scrub(stage.limit(120))
    found = json.loads(text) if status == 0 else {}
    clean = found.get("checked", 0) > 0 and found.get("bad_shards") == 0 and found.get("inconsistent") == 0
    stage.report.expect(where, "a_second_scrub_finds_nothing", clean, text[-300:])


def bitrot(stage, where, vers):
    stores = make_stores(stage, where, 6, STORE_BYTES)
    server = stage.own_server(where, stores=stores.paths, policy="ec-4+2")
    seed = stage.random.randrange(1 << 30)
    load, contender = start_load(stage, where, vers, seed, keep=1)
    stage.sleep(load, 5)
    contender.guest.tell("stop")
    stage.finish(where, contender, 60)
    load.guest.tell("stop")
    load.wait_mark("load-ended", stage.limit(60))
    damaged = [server.database_store()]
    taken, status = server.terminate()
    stage.report.expect(where, "ends_in_order", status == 0, f"status {status} after {taken:.1f} s")
    damaged.append(stage.random.choice([index for index in range(6) if index not in damaged]))
    flipped = sum(stores.flip_bits(index, 300, seed + index) for index in damaged)
    print(f"        {where} seed {seed}: {flipped} bits flipped in stores {damaged}", flush=True)
    stage.report.expect(where, "there_was_something_to_damage", flipped > 0, "no file in the stores")
    server.start()
    load.guest.tell("verify")
    load.wait_mark("verified", stage.limit(200))
    scrub_until_clean(stage, where, server, load)
    load.guest.tell("remove")
    stage.finish(where, load, 60)
    stage.end_server(where)     # its check finds every shard whole again
    stores.remove()


def full(stage, where, vers):
    stores = make_stores(stage, where, 2, 1 << 30)
    stage.own_server(where, stores=stores.paths, policy="mirror-2", flags=["--segment-mib", "32"])
    stage.run_script(where, "full.sh", vers, 300)
    stage.end_server(where)
    stores.remove()


SCENARIOS = [
    Scenario("disks", disks, ["4.2"], "two of six stores vanish under load, are replaced and rebuilt; then two others", {"disks"}),
    Scenario("bitrot", bitrot, ["4.2"], "bits flip in two of six stores; every byte promised still comes back right", {"disks"}),
    Scenario("full", full, ["4.2"], "the stores fill up: NFS4ERR_NOSPC, and deletes free them again", {"disks"}),
]
