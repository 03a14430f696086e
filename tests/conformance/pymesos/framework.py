#!/usr/bin/env python3
"""Drives a master with pymesos' scheduler driver, unchanged, and says what held.

usage: framework.py MASTER

Prints one line a step and exits with 0 only when every step held. Each wait is bounded.
"""

import os
import sys
import time
from collections import defaultdict
from threading import Condition

from addict import Dict
from pymesos import MesosSchedulerDriver, Scheduler, encode_data

PATIENCE = 60
HERE = os.path.dirname(os.path.abspath(__file__))
TERMINAL = {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST", "TASK_DROPPED", "TASK_GONE"}


class TestScheduler(Scheduler):
    """Launches what is asked for and remembers everything that it is told."""

    def __init__(self):
        self.changed = Condition()
        self.framework_id = None
        self.wanted = []
        self.states = {}
        self.history = defaultdict(list)
        self.agents = {}
        self.reconciled = {}
        self.messages = []
        self.registrations = 0
        self.errors = []

    def registered(self, driver, framework_id, master_info):
        with self.changed:
            self.framework_id = framework_id.value
            self.registrations += 1
            self.changed.notify_all()

    def reregistered(self, driver, master_info):
        with self.changed:
            self.registrations += 1
            self.changed.notify_all()

    def resourceOffers(self, driver, offers):
        for offer in offers:
            left = {r.name: r.scalar.value for r in offer.resources if r.type == "SCALAR"}
            tasks = []
            with self.changed:
                while self.wanted and left.get("cpus", 0) >= 0.15 and left.get("mem", 0) >= 72:
                    task_id, data = self.wanted.pop(0)
                    tasks.append(self.task(task_id, data, offer.agent_id))
                    left["cpus"] -= 0.05
                    left["mem"] -= 8
            if tasks:
                driver.launchTasks(offer.id, tasks, {"refuse_seconds": 0.1})
            else:
                driver.declineOffer(offer.id, {"refuse_seconds": 0.1})

    @staticmethod
    def resources(cpus, mem):
        return [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": mem}},
        ]

    def task(self, task_id, data, agent_id):
        task = Dict()
        task.task_id.value = task_id
        task.agent_id.value = agent_id.value
        task.name = "task " + task_id
        task.resources = self.resources(0.05, 8)
        if data.startswith("command:"):
            task.command.value = data.split(":", 1)[1]
            return task
        task.data = encode_data(data.encode())
        task.executor.executor_id.value = "pymesos"
        task.executor.name = "pymesos executor"
        task.executor.command.value = "%s %s" % (sys.executable, os.path.join(HERE, "executor.py"))
        task.executor.resources = self.resources(0.1, 64)
        return task

    def statusUpdate(self, driver, update):
        with self.changed:
            task_id = update.task_id.value
            if update.reason == "REASON_RECONCILIATION":
                self.reconciled[task_id] = update.state
            elif not self.history[task_id] or self.history[task_id][-1] != update.state:
                self.history[task_id].append(update.state)
            self.states[task_id] = update.state
            if update.agent_id.value:
                self.agents[task_id] = update.agent_id.value
            self.changed.notify_all()

    def frameworkMessage(self, driver, executor_id, agent_id, message):
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    def error(self, driver, message):
        with self.changed:
            self.errors.append(message)
            self.changed.notify_all()

    def wait(self, what, condition):
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE):
                raise AssertionError("%s did not happen; states %s errors %s" % (what, summary(self.states), self.errors))
        print("ok   %s" % what, flush=True)


def summary(states):
    counts = defaultdict(int)
    for state in states.values():
        counts[state] += 1
    return dict(counts)


def framework_info(framework_id=None):
    framework = Dict()
    framework.user = os.environ.get("USER", "root")
    framework.name = "pymesos conformance"
    framework.hostname = "localhost"
    framework.failover_timeout = 60
    framework.checkpoint = True
    if framework_id:
        framework.id.value = framework_id
    return framework


def connect(master, scheduler, framework_id=None):
    driver = MesosSchedulerDriver(scheduler, framework_info(framework_id), master, use_addict=True)
    driver.start()
    return driver


def run(master):
    scheduler = TestScheduler()
    driver = connect(master, scheduler)
    scheduler.wait("registered", lambda: scheduler.framework_id)

    many = ["finish-%d" % number for number in range(100)]
    scheduler.wanted += [(task_id, "finish") for task_id in many]
    scheduler.wait("100 tasks finished", lambda: all(scheduler.states.get(t) == "TASK_FINISHED" for t in many))
    for task_id in many:
        assert scheduler.history[task_id] == ["TASK_RUNNING", "TASK_FINISHED"], scheduler.history[task_id]

    commands = {"command-ok": "command:true", "command-bad": "command:exit 3"}
    scheduler.wanted += list(commands.items())
    scheduler.wait("command tasks ended", lambda: all(scheduler.states.get(t) in TERMINAL for t in commands))
    assert scheduler.states["command-ok"] == "TASK_FINISHED", scheduler.states["command-ok"]
    assert scheduler.states["command-bad"] == "TASK_FAILED", scheduler.states["command-bad"]

    long = ["wait-%d" % number for number in range(10)]
    scheduler.wanted += [(task_id, "wait") for task_id in long]
    scheduler.wait("10 tasks run", lambda: all(scheduler.states.get(t) == "TASK_RUNNING" for t in long))
    for task_id in long[:5]:
        driver.killTask({"value": task_id})
    scheduler.wait("5 tasks killed", lambda: all(scheduler.states.get(t) == "TASK_KILLED" for t in long[:5]))

    driver.reconcileTasks([])
    scheduler.wait("implicit reconciliation", lambda: all(scheduler.reconciled.get(t) == "TASK_RUNNING" for t in long[5:]))
    scheduler.reconciled.clear()
    driver.reconcileTasks([{"task_id": {"value": t}, "agent_id": {"value": scheduler.agents[t]}, "state": "TASK_RUNNING"} for t in long[5:]])
    driver.reconcileTasks([{"task_id": {"value": "never-heard-of"}, "state": "TASK_RUNNING"}])
    scheduler.wait("explicit reconciliation", lambda: all(scheduler.reconciled.get(t) == "TASK_RUNNING" for t in long[5:]))
    scheduler.wait("an unknown task is lost", lambda: scheduler.reconciled.get("never-heard-of") == "TASK_LOST")

    driver.sendFrameworkMessage({"value": "pymesos"}, {"value": scheduler.agents[long[5]]}, encode_data(b"hello"))
    scheduler.wait("a message came back", lambda: scheduler.messages)

    first, framework_id = scheduler, scheduler.framework_id
    driver.stop(True)
    driver.join()

    scheduler = TestScheduler()
    scheduler.agents = first.agents
    driver = connect(master, scheduler, framework_id)
    scheduler.wait("a second instance registered", lambda: scheduler.registrations)
    assert scheduler.framework_id in (None, framework_id), scheduler.framework_id
    driver.reconcileTasks([])
    scheduler.wait("tasks outlived the restart", lambda: all(scheduler.reconciled.get(t) == "TASK_RUNNING" for t in long[5:]))
    for task_id in long[5:]:
        driver.killTask({"value": task_id})
    scheduler.wait("the other tasks killed", lambda: all(scheduler.states.get(t) == "TASK_KILLED" for t in long[5:]))
    scheduler.wanted.append(("after", "finish"))
    scheduler.wait("a task after the restart", lambda: scheduler.states.get("after") == "TASK_FINISHED")
    assert not scheduler.errors and not first.errors, (first.errors, scheduler.errors)
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
