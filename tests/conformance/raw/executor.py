#!/usr/bin/env python3
"""A v0 executor on raw libprocess messages: registers, runs tasks as states, waits for acknowledgements."""

import os
import threading
import time
import uuid

from wire import Node, decode, encode, ident

INTERNAL = "mesos.internal."
RUNNING, FINISHED, KILLED = 1, 2, 4


class Executor:
    def __init__(self):
        self.agent = os.environ["MESOS_SLAVE_PID"]
        self.agent_id = os.environ["MESOS_SLAVE_ID"]
        self.framework_id = os.environ["MESOS_FRAMEWORK_ID"]
        self.executor_id = os.environ["MESOS_EXECUTOR_ID"]
        self.done = threading.Event()
        self.tasks = {}
        self.unacknowledged = {}
        self.node = Node("executor(1)", self.receive)
        self.node.send(self.agent, INTERNAL + "RegisterExecutorMessage",
                       encode([(1, ident(self.framework_id)), (2, ident(self.executor_id))]))

    def receive(self, sender, name, body):
        fields = decode(body)
        if name == INTERNAL + "RunTaskMessage":
            task = decode(fields[4][0])
            self.tasks[task[2][0]] = fields[4][0]
            self.update(task[2][0], RUNNING)
            if task[6][0] == b"finish":
                self.update(task[2][0], FINISHED)
        elif name == INTERNAL + "KillTaskMessage":
            self.update(fields[2][0], KILLED)
        elif name == INTERNAL + "StatusUpdateAcknowledgementMessage":
            self.unacknowledged.pop(fields[4][0], None)
            self.tasks.pop(fields[3][0], None)
        elif name == INTERNAL + "ReconnectExecutorMessage":
            # The agent is another process now: it learns what it may have missed.
            self.agent = sender
            tasks = [(3, task) for task in self.tasks.values()]
            updates = [(4, update) for update in self.unacknowledged.values()]
            self.node.send(self.agent, INTERNAL + "ReregisterExecutorMessage",
                           encode([(1, ident(self.executor_id)), (2, ident(self.framework_id))] + tasks + updates))
        elif name == INTERNAL + "FrameworkToExecutorMessage":
            self.node.send(self.agent, INTERNAL + "ExecutorToFrameworkMessage", body)
        elif name == INTERNAL + "ShutdownExecutorMessage":
            self.done.set()

    def update(self, task_id, state):
        now = time.time()
        status = encode([(1, task_id), (2, state), (5, ident(self.agent_id)), (6, now), (7, ident(self.executor_id)), (9, 2)])
        key = uuid.uuid4().bytes
        update = encode([(1, ident(self.framework_id)), (2, ident(self.executor_id)), (3, ident(self.agent_id)),
                         (4, status), (5, now), (6, key)])
        self.unacknowledged[key] = update
        self.node.send(self.agent, INTERNAL + "StatusUpdateMessage", encode([(1, update), (2, self.node.upid)]))


if __name__ == "__main__":
    Executor().done.wait()
