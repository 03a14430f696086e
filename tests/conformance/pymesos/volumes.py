#!/usr/bin/env python3
"""Reserves resources and makes a persistent volume with pymesos' scheduler driver, unchanged, and says what held.

usage: volumes.py MASTER

Prints one line a step and exits with 0 only when every step held. Each wait is bounded.
"""

import os
import sys
import time

from addict import Dict
from framework import TestScheduler, framework_info
from pymesos import MesosSchedulerDriver

ROLE = "pymesos"
RESERVED = {"role": ROLE, "reservation": {}}
DISK = dict({"name": "disk", "type": "SCALAR", "scalar": {"value": 64}}, **RESERVED)
VOLUME = dict(DISK, disk={"persistence": {"id": "notes"}, "volume": {"mode": "RW", "container_path": "notes"}})


class VolumeScheduler(TestScheduler):
    """Keeps the last offer until somebody uses it."""

    def __init__(self):
        super().__init__()
        self.offer = None
        self.operations = {}

    def resourceOffers(self, driver, offers):
        with self.changed:
            for spare in offers[1:]:
                driver.declineOffer(spare.id, {"refuse_seconds": 3600})
            self.offer = offers[0]
            self.changed.notify_all()

    def offerRescinded(self, driver, offer_id):
        with self.changed:
            if self.offer and self.offer.id.value == offer_id.value:
                self.offer = None

    def take(self, what, wanted):
        """Waits for an offer that `wanted` takes; gives it."""
        self.wait(what, lambda: self.offer and wanted(self.offer))
        with self.changed:
            offer, self.offer = self.offer, None
            return offer

    def on(self, offer, task_id, command, more=()):
        """A task on the agent of an offer."""
        task = Dict()
        task.task_id.value = task_id
        task.agent_id.value = offer.agent_id.value
        task.name = "task " + task_id
        task.resources = self.resources(0.1, 32) + list(more)
        task.command.value = command
        return task


def launch(*tasks):
    return {"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}


def reserved(offer):
    return [r for r in offer.resources if r.name == "disk" and r.role == ROLE]


def volumes(offer):
    return [r.disk.persistence.id for r in offer.resources if r.get("disk") and r.disk.get("persistence")]


def run(master):
    scheduler = VolumeScheduler()
    info = framework_info()
    info.role = ROLE
    driver = MesosSchedulerDriver(scheduler, info, master, use_addict=True)
    driver.start()
    scheduler.wait("registered", lambda: scheduler.framework_id)

    offer = scheduler.take("an offer", lambda offer: True)
    driver.acceptOffers([offer.id], [{"type": "RESERVE", "reserve": {"resources": [DISK]}}], {"refuse_seconds": 0})
    offer = scheduler.take("the reservation is offered", reserved)
    assert sum(r.scalar.value for r in reserved(offer)) == 64, offer.resources
    agent = offer.agent_id.value

    create = {"type": "CREATE", "create": {"volumes": [VOLUME]}}
    write = launch(scheduler.on(offer, "writer", "echo kept > notes/text", [VOLUME]))
    driver.acceptOffers([offer.id], [create, write], {"refuse_seconds": 0})
    scheduler.wait("a task wrote to the volume", lambda: scheduler.states.get("writer") == "TASK_FINISHED")

    offer = scheduler.take("the volume is offered", lambda offer: volumes(offer) == ["notes"])
    assert offer.agent_id.value == agent, "the volume is where it was made"
    read = launch(scheduler.on(offer, "reader", 'test "$(cat notes/text)" = kept', [VOLUME]))
    driver.acceptOffers([offer.id], [read], {"refuse_seconds": 0})
    scheduler.wait("another task read it", lambda: scheduler.states.get("reader") == "TASK_FINISHED")

    offer = scheduler.take("the volume is offered again", lambda offer: volumes(offer) == ["notes"])
    destroy = {"type": "DESTROY", "destroy": {"volumes": [VOLUME]}}
    unreserve = {"type": "UNRESERVE", "unreserve": {"resources": [DISK]}}
    driver.acceptOffers([offer.id], [destroy, unreserve], {"refuse_seconds": 0})
    scheduler.take("all is as before", lambda offer: not volumes(offer) and not reserved(offer))
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
