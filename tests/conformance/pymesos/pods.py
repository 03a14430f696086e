#!/usr/bin/env python3
"""Launches groups of tasks with pymesos' scheduler driver, unchanged, and says what held.

usage: pods.py MASTER

Prints one line a step and exits with 0 only when every step held. Each wait is bounded.
"""

import os
import sys
import time

from framework import TestScheduler, connect


class PodScheduler(TestScheduler):
    """Launches each wanted group, a list of (task id, command), in a default executor of its own name."""

    def resourceOffers(self, driver, offers):
        for offer in offers:
            left = {r.name: r.scalar.value for r in offer.resources if r.type == "SCALAR"}
            with self.changed:
                fits = left.get("cpus", 0) >= 0.5 and left.get("mem", 0) >= 200 and left.get("disk", 0) >= 32
                group = self.wanted.pop(0) if self.wanted and fits else None
            if group is None:
                driver.declineOffer(offer.id, {"refuse_seconds": 0.1})
                continue
            name, tasks = group
            executor = {
                "type": "DEFAULT",
                "executor_id": {"value": name},
                "framework_id": {"value": self.framework_id},
                "resources": self.resources(0.1, 32) + [{"name": "disk", "type": "SCALAR", "scalar": {"value": 16}}],
            }
            infos = [self.member(task_id, command, offer.agent_id.value) for task_id, command in tasks]
            operation = {
                "type": "LAUNCH_GROUP",
                "launch_group": {"executor": executor, "task_group": {"tasks": infos}},
            }
            driver.acceptOffers([offer.id], [operation], {"refuse_seconds": 0.1})

    def member(self, task_id, command, agent_id):
        volume = {
            "mode": "RW",
            "container_path": "common",
            "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "PARENT", "path": "shared"}},
        }
        return {
            "name": task_id,
            "task_id": {"value": task_id},
            "agent_id": {"value": agent_id},
            "resources": self.resources(0.05, 16),
            "command": {"value": command},
            "container": {"type": "MESOS", "volumes": [volume]},
        }


def run(master):
    scheduler = PodScheduler()
    driver = connect(master, scheduler)
    scheduler.wait("registered", lambda: scheduler.framework_id)
    states = scheduler.states

    def all_in(state, *tasks):
        return lambda: all(states.get(task) == state for task in tasks)

    write = "echo hello > common/greeting"
    read = "while ! grep -q hello common/greeting 2>/dev/null; do sleep 0.05; done"
    scheduler.wanted.append(("shared", [("writer", write), ("reader", read)]))
    scheduler.wait("two tasks shared a volume", all_in("TASK_FINISHED", "writer", "reader"))
    for task in ("writer", "reader"):
        told = scheduler.history[task]
        assert told == ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"], told

    scheduler.wanted.append(("healthy", [("h1", "exec sleep 1000"), ("h2", "exec sleep 1000")]))
    scheduler.wait("a long group runs", all_in("TASK_RUNNING", "h1", "h2"))
    # In the same executor as the long group.
    scheduler.wanted.append(("healthy", [("bad", "sleep 0.3; exit 3"), ("good", "exec sleep 1000")]))
    scheduler.wait("a task failed", all_in("TASK_FAILED", "bad"))
    scheduler.wait("its group was killed", all_in("TASK_KILLED", "good"))
    assert states["h1"] == states["h2"] == "TASK_RUNNING", states

    driver.killTask({"value": "h2"})
    scheduler.wait("a kill ended the other group", all_in("TASK_KILLED", "h1", "h2"))
    assert not scheduler.errors, scheduler.errors
    driver.stop()
    driver.join()


if __name__ == "__main__":
    started = time.time()
    try:
        run(sys.argv[1])
    except AssertionError as error:
        print("FAIL %s" % error, flush=True)
        sys.exit(1)
    print("all steps held in %.1f s" % (time.time() - started), flush=True)
    os._exit(0)
