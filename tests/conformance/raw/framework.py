#!/usr/bin/env python3
"""A v0 framework on raw libprocess messages: the older single messages first, scheduler.Call after a failover.

usage: framework.py MASTER_IP:PORT

Prints one line a step and exits with 0 only when every step held. Each wait is bounded.
"""

import os
import sys
import threading
import time
import uuid

from wire import Node, decode, encode, ident, scalar, text_of

PATIENCE = 60
INTERNAL = "mesos.internal."
HERE = os.path.dirname(os.path.abspath(__file__))
RUNNING, FINISHED, KILLED, LOST = 1, 2, 4, 5
REASON_RECONCILIATION = 9
(SUBSCRIBE, TEARDOWN, ACCEPT, DECLINE, KILL, ACKNOWLEDGE, RECONCILE) = (1, 2, 3, 4, 6, 8, 9)


class Framework:
    def __init__(self, master, framework_id=None):
        self.master = "master@" + master
        self.framework_id = framework_id
        self.changed = threading.Condition()
        self.registered = self.reregistered = 0
        self.wanted, self.states, self.history, self.agents = [], {}, {}, {}
        self.reconciled, self.messages, self.errors, self.uuids = {}, [], [], set()
        self.calls = framework_id is not None
        self.node = Node("scheduler-" + str(uuid.uuid4()), self.receive)

    # -- what is sent

    def info(self):
        fields = [(1, "root"), (2, "raw conformance"), (4, 60.0), (5, True)]
        if self.framework_id:
            fields.append((3, ident(self.framework_id)))
        return encode(fields)

    def send(self, name, fields):
        self.node.send(self.master, INTERNAL + name, encode(fields))

    def call(self, kind, number=None, payload=b""):
        fields = [(1, ident(self.framework_id)), (2, kind)]
        if number:
            fields.append((number, payload))
        self.node.send(self.master, "mesos.scheduler.Call", encode(fields))

    def register(self):
        self.send("RegisterFrameworkMessage", [(1, self.info())])

    def reregister(self):
        self.send("ReregisterFrameworkMessage", [(2, self.info()), (3, True)])

    def subscribe(self):
        self.call(SUBSCRIBE, 3, encode([(1, self.info()), (2, True)]))

    def kill(self, task_id):
        if self.calls:
            self.call(KILL, 6, encode([(1, ident(task_id))]))
        else:
            self.send("KillTaskMessage", [(1, ident(self.framework_id)), (2, ident(task_id))])

    def acknowledge(self, agent_id, task_id, key):
        if self.calls:
            self.call(ACKNOWLEDGE, 8, encode([(1, agent_id), (2, task_id), (3, key)]))
        else:
            self.send("StatusUpdateAcknowledgementMessage", [(1, agent_id), (2, ident(self.framework_id)), (3, task_id), (4, key)])

    def reconcile(self, tasks):
        if self.calls:
            self.call(RECONCILE, 9, encode([(1, encode([(1, ident(task))])) for task in tasks]))
        else:
            statuses = [(2, encode([(1, ident(task)), (2, RUNNING)])) for task in tasks]
            self.send("ReconcileTasksMessage", [(1, ident(self.framework_id))] + statuses)

    def launch(self, offer_ids, tasks):
        filters = encode([(1, 0.1)])
        if self.calls:
            operation = encode([(1, 1), (2, encode([(1, task) for task in tasks]))])
            self.call(ACCEPT, 4, encode([(1, offer) for offer in offer_ids] + [(2, operation), (3, filters)]))
        else:
            fields = [(1, ident(self.framework_id))] + [(3, task) for task in tasks] + [(5, filters)]
            self.send("LaunchTasksMessage", fields + [(6, offer) for offer in offer_ids])

    def task(self, task_id, data, agent_id):
        command = encode([(3, "%s %s" % (sys.executable, os.path.join(HERE, "executor.py")))])
        executor = encode([(1, ident("raw")), (7, command), (5, scalar("cpus", 0.1, "*")), (5, scalar("mem", 64, "*"))])
        return encode([(1, task_id), (2, ident(task_id)), (3, agent_id), (4, scalar("cpus", 0.05, "*")),
                       (4, scalar("mem", 8, "*")), (5, executor), (6, data)])

    # -- what comes back

    def receive(self, sender, name, body):
        fields = decode(body)
        with self.changed:
            if name == INTERNAL + "FrameworkRegisteredMessage":
                self.framework_id = text_of(fields[1][0])
                self.registered += 1
            elif name == INTERNAL + "FrameworkReregisteredMessage":
                self.reregistered += 1
            elif name == INTERNAL + "ResourceOffersMessage":
                assert len(fields[1]) == len(fields[2]), "an agent's address for each offer"
                for offer in fields[1]:
                    self.offered(decode(offer))
            elif name == INTERNAL + "StatusUpdateMessage":
                self.updated(decode(fields[1][0]))
            elif name == INTERNAL + "ExecutorToFrameworkMessage":
                self.messages.append(fields[4][0])
            elif name == INTERNAL + "FrameworkErrorMessage":
                self.errors.append(fields[2][0].decode())
            self.changed.notify_all()

    def offered(self, offer):
        left = {}
        for resource in map(decode, offer[5]):
            if resource[2][0] == 0:
                left[resource[1][0].decode()] = decode(resource[3][0])[1][0]
                assert resource[6][0] == b"*", "old frameworks see the role"
                assert 11 not in resource and 13 not in resource, "old frameworks see no allocation and no stack"
        tasks = []
        while self.wanted and left.get("cpus", 0) >= 0.15 and left.get("mem", 0) >= 72:
            task_id, data = self.wanted.pop(0)
            tasks.append(self.task(task_id, data, offer[3][0]))
            left["cpus"] -= 0.05
            left["mem"] -= 8
        self.launch([offer[1][0]], tasks)

    def updated(self, update):
        status = decode(update[4][0])
        task_id, state = text_of(status[1][0]), status[2][0]
        self.states[task_id] = state
        if 3 in update:
            self.agents[task_id] = text_of(update[3][0])
        if status.get(10) == [REASON_RECONCILIATION]:
            assert not update.get(6, [b""])[0], "reconciliation wants no acknowledgement"
            self.reconciled[task_id] = state
            return
        key = update.get(6, [b""])[0]
        if key:
            if key not in self.uuids:
                self.history.setdefault(task_id, []).append(state)
            self.uuids.add(key)
            self.acknowledge(update[3][0], status[1][0], key)

    def wait(self, what, condition):
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE):
                raise AssertionError("%s did not happen: states %s errors %s" % (what, self.states, self.errors))
        print("ok   %s" % what, flush=True)


def run(master):
    framework = Framework(master)
    framework.register()
    framework.wait("registered by the older message", lambda: framework.registered)

    many = ["finish-%d" % number for number in range(100)]
    framework.wanted += [(task, b"finish") for task in many]
    framework.wait("100 tasks finished", lambda: all(framework.states.get(t) == FINISHED for t in many))
    for task in many:
        assert framework.history[task] == [RUNNING, FINISHED], (task, framework.history[task])

    long = ["wait-%d" % number for number in range(10)]
    framework.wanted += [(task, b"wait") for task in long]
    framework.wait("10 tasks run", lambda: all(framework.states.get(t) == RUNNING for t in long))
    for task in long[:5]:
        framework.kill(task)
    framework.wait("5 tasks killed", lambda: all(framework.states.get(t) == KILLED for t in long[:5]))

    framework.reconcile([])
    framework.wait("implicit reconciliation", lambda: all(framework.reconciled.get(t) == RUNNING for t in long[5:]))
    framework.reconciled.clear()
    framework.reconcile(long[5:] + ["never-heard-of"])
    framework.wait("explicit reconciliation", lambda: all(framework.reconciled.get(t) == RUNNING for t in long[5:]))
    framework.wait("an unknown task is lost", lambda: framework.reconciled.get("never-heard-of") == LOST)

    framework.send("FrameworkToExecutorMessage", [(1, ident(framework.agents[long[5]])), (2, ident(framework.framework_id)),
                                                  (3, ident("raw")), (4, b"hello")])
    framework.wait("a message came back", lambda: framework.messages == [b"hello"])

    second = Framework(master, framework.framework_id)
    second.calls = False
    second.reregister()
    second.wait("taken over by the older message", lambda: second.registered or second.reregistered)
    framework.wait("the first instance was told", lambda: framework.errors == ["Framework failed over"])
    framework.node.close()

    third = Framework(master, framework.framework_id)
    third.subscribe()
    third.wait("taken over by scheduler.Call", lambda: third.registered or third.reregistered)
    third.reconcile([])
    third.wait("tasks outlived the restarts", lambda: all(third.reconciled.get(t) == RUNNING for t in long[5:]))
    for task in long[5:]:
        third.kill(task)
    third.wait("the other tasks killed", lambda: all(third.states.get(t) == KILLED for t in long[5:]))
    third.wanted.append(("after", b"finish"))
    third.wait("a task after the restarts", lambda: third.states.get("after") == FINISHED)

    third.call(TEARDOWN)
    gone = Framework(master, framework.framework_id)
    gone.reregister()
    gone.wait("a removed framework is told so", lambda: any("Framework has been removed" in e for e in gone.errors))


if __name__ == "__main__":
    started = time.time()
    try:
        run(sys.argv[1])
    except AssertionError as error:
        print("FAIL %s" % error, flush=True)
        sys.exit(1)
    print("all steps held in %.1f s" % (time.time() - started), flush=True)
    os._exit(0)
