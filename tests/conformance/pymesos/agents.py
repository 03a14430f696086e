#!/usr/bin/env python3
"""Maintenance and the loss of an agent, as pymesos' scheduler driver, unchanged, sees them; says what held.

usage: agents.py MASTER

The master needs two agents on one machine. Prints one line a step and exits with 0 only when every step held. Each wait
is bounded.
"""

import json
import os
import sys
import time
import urllib.request

from framework import TestScheduler, connect


class AgentScheduler(TestScheduler):
    """Also remembers inverse offers and agents that were lost."""

    def __init__(self):
        super().__init__()
        self.inverse = []
        self.lost = []

    def inverseOffers(self, driver, offers):
        with self.changed:
            self.inverse += offers
            self.changed.notify_all()

    def slaveLost(self, driver, agent_id):
        with self.changed:
            self.lost.append(agent_id.value)
            self.changed.notify_all()



def operator(master, kind, payload=None):
    """A call of the operator API; gives its answer, or nothing when it is empty."""
    call = {"type": kind}
    if payload is not None:
        call[kind.lower()] = payload
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    request = urllib.request.Request("http://%s/api/v1" % master, json.dumps(call).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        body = answer.read()
    return json.loads(body)[kind.lower()] if body else None


def run(master):
    scheduler = AgentScheduler()
    driver = connect(master, scheduler)
    scheduler.wait("registered", lambda: scheduler.framework_id)
    tasks = ["one", "two"]
    scheduler.wanted += [(task, "command:exec sleep 1000") for task in tasks]
    scheduler.wait("tasks run", lambda: all(scheduler.states.get(t) == "TASK_RUNNING" for t in tasks))

    agents = operator(master, "GET_AGENTS")["agents"]
    machine = {"hostname": agents[0]["agent_info"]["hostname"], "ip": "127.0.0.1"}
    start = {"nanoseconds": int((time.time() + 3600) * 1e9)}
    window = {"machine_ids": [machine], "unavailability": {"start": start}}
    operator(master, "UPDATE_MAINTENANCE_SCHEDULE", {"schedule": {"windows": [window]}})
    scheduler.wait("an inverse offer", lambda: scheduler.inverse)
    offer = scheduler.inverse[0]
    assert offer.agent_id.value in scheduler.agents.values(), offer
    assert offer.unavailability.start.nanoseconds == start["nanoseconds"], offer
    driver.acceptInverseOffers(offer.id)
    # The next answer of the driver comes after the one before: a reconciliation shows that it was read.
    driver.reconcileTasks([])
    scheduler.wait("implicit reconciliation", lambda: all(scheduler.reconciled.get(t) == "TASK_RUNNING" for t in tasks))
    machines = operator(master, "GET_MAINTENANCE_STATUS")["status"]["draining_machines"]
    answers = [status["status"] for status in machines[0].get("statuses", [])]
    assert "ACCEPT" in answers, machines
    print("ok   the answer is told to operators", flush=True)
    operator(master, "UPDATE_MAINTENANCE_SCHEDULE", {"schedule": {"windows": []}})

    gone = scheduler.agents["one"]
    operator(master, "MARK_AGENT_GONE", {"agent_id": {"value": gone}})
    scheduler.wait("a task is lost with its agent", lambda: scheduler.states.get("one") == "TASK_LOST")
    scheduler.wait("the loss is told", lambda: gone in scheduler.lost)
    scheduler.reconciled.clear()
    asked = [{"task_id": {"value": t}, "agent_id": {"value": scheduler.agents[t]}, "state": "TASK_RUNNING"} for t in tasks]
    driver.reconcileTasks(asked)
    expected = {t: "TASK_LOST" if scheduler.agents[t] == gone else "TASK_RUNNING" for t in tasks}
    scheduler.wait("explicit reconciliation tells it again", lambda: scheduler.reconciled == expected)
    scheduler.wanted.append(("after", "command:true"))
    scheduler.wait("a task on the agent that is left", lambda: scheduler.states.get("after") == "TASK_FINISHED")
    assert scheduler.agents["after"] != gone, scheduler.agents
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
