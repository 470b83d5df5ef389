# SPDX-License-Identifier: Apache-2.0
# Scenarios in which the server is killed or told to end under load, while the clients stay mounted.
import guest
from scenarios import Scenario

SHORT_KILLS = 10
LONG_KILLS = 100


def acked(job):
    """How many promises the load has counted so far."""
    marks = job.marks("acked ")
    return int(marks[-1].split()[1]) if marks else 0


def wait_progress(stage, job, limit_s, steps=1):
    """Until the load has got `steps` further promises: the server answers writes again."""
    before = acked(job)
    job.guest.pump(lambda: acked(job) >= before + steps or job.status is not None, stage.limit(limit_s), f"progress of {job.name}")
    if job.status is not None:
        raise guest.GuestError(f"{job.name} ended early")


def start_load(stage, where, vers, seed, keep=0):
    """Load on guest 1 and a second client that wants its lock. Returns the two jobs."""
    load = stage.guest(1).start("load", "load.sh", **stage.environment(vers, WHAT=where.split("@")[0], SEED=seed, KEEP=keep))
    for word in ("verify", "remove"):
        load.guest.untell(word)
    load.wait_mark("holding", stage.limit(60))
    contender = stage.guest(2).start("contender", "contend.sh", **stage.environment(vers))
    contender.wait_mark("contending", stage.limit(60))
    wait_progress(stage, load, 30, 20)
    return load, contender


def end_load(stage, where, load, contender):
    """Stops both, then has everything promised compared."""
    contender.guest.tell("stop")
    clean = stage.finish(where, contender, 150)
    load.guest.tell("stop")
    load.guest.tell("verify")
    return stage.finish(where, load, 200) and clean


def crash(stage, where, vers):
    server = stage.own_server(where)
    kills = 2 if stage.options.server == "knfsd" else LONG_KILLS if stage.long else SHORT_KILLS
    seed = stage.random.randrange(1 << 30)
    print(f"        {where} seed {seed}, {kills} kills", flush=True)
    load, contender = start_load(stage, where, vers, seed)
    try:
        for _ in range(kills):
            stage.sleep(load, stage.random.uniform(0, 1.2))
            server.kill()
            server.start()
            if stage.random.random() < 0.2 and stage.options.server != "knfsd":     # again, while clients reclaim
                stage.sleep(load, stage.random.uniform(0, 0.5))
                server.kill()
                server.start()
            wait_progress(stage, load, 150, 5)
        stage.report.ok(where, f"load_goes_on_after_{kills}_kills")
    except guest.GuestError as error:
        stage.report.fail(where, f"load_goes_on_after_{kills}_kills", str(error))
        print(server.tail(60), flush=True)
    end_load(stage, where, load, contender)
    stage.end_server(where)


def shutdown(stage, where, vers):
    server = stage.own_server(where)
    load, contender = start_load(stage, where, vers, stage.random.randrange(1 << 30))
    for turn in range(2):
        taken, status = server.terminate()
        stage.report.expect(where, f"sigterm_{turn + 1}_ends_within_10_s", taken <= 10, f"{taken:.1f} s")
        stage.report.expect(where, f"sigterm_{turn + 1}_exits_with_0", status == 0, f"status {status}\n{server.tail(30)}")
        code, text = server.check()
        stage.report.expect(where, f"check_{turn + 1}_is_clean", code == 0, text[-400:])
        server.start()
        wait_progress(stage, load, 90, 5)
    end_load(stage, where, load, contender)
    stage.end_server(where)


SCENARIOS = [
    Scenario("crash", crash, ["4.2"], "kill -9 at random moments under fsync load; clients stay mounted", {"reboot"},
             long_versions=["4.1", "4.0"]),
    Scenario("shutdown", shutdown, ["4.2"], "SIGTERM under load ends in time and loses nothing", {"terminate"},
             long_versions=["4.1", "4.0"]),
]
