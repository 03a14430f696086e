#!/usr/bin/env python3
"""Executor of the conformance framework, on pymesos' own executor driver.

A task whose data is "finish" runs and finishes at once; one whose data is "wait" runs until it is killed. A framework
message is answered with the same bytes.
"""

import sys
import time
from threading import Thread

from addict import Dict
from pymesos import Executor, MesosExecutorDriver, decode_data, encode_data


class TestExecutor(Executor):
    def launchTask(self, driver, task):
        def run():
            self.update(driver, task.task_id, "TASK_RUNNING")
            if decode_data(task.data) == b"finish":
                self.update(driver, task.task_id, "TASK_FINISHED")

        Thread(target=run, daemon=True).start()

    def killTask(self, driver, task_id):
        self.update(driver, task_id, "TASK_KILLED")

    def frameworkMessage(self, driver, message):
        driver.sendFrameworkMessage(message)

    @staticmethod
    def update(driver, task_id, state):
        update = Dict()
        update.task_id.value = task_id.value
        update.state = state
        update.timestamp = time.time()
        update.data = encode_data(b"from the executor")
        driver.sendStatusUpdate(update)


if __name__ == "__main__":
    driver = MesosExecutorDriver(TestExecutor(), use_addict=True)
    driver.run()
    sys.exit(0)
