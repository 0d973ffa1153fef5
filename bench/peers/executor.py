# executor.py - a ProcessPoolExecutor whose only worker is killed while it is busy and a task waits behind; then a new executor answers.
#
# Each character on standard input says what to do, and is written back when it is done:
#   b  the worker is busy, and a task waits
#   k  it is killed, and a new executor has given its first answer
import concurrent.futures
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures.process import BrokenProcessPool

busy_worker = None


def share(pid):
    global busy_worker
    busy_worker = pid


def nothing():
    return 0


# It ends with its parent, at the latest.
def tell_pid_and_spin():
    parent = os.getppid()
    busy_worker.value = os.getpid()
    while os.getppid() == parent:
        pass


class Subject:
    def __init__(self):
        self.pid = multiprocessing.Value("i", 0, lock=False)
        self.waiting = None
        self.renew()

    def renew(self):
        self.executor = concurrent.futures.ProcessPoolExecutor(1, initializer=share, initargs=(self.pid,))

    def make_busy(self):
        self.executor.submit(tell_pid_and_spin)
        while self.pid.value == 0:
            time.sleep(0.001)
        self.waiting = self.executor.submit(nothing)

    def kill_busy_worker(self):
        if self.pid.value != 0:
            os.kill(self.pid.value, signal.SIGKILL)
        self.pid.value = 0

    def recover(self):
        self.kill_busy_worker()
        try:
            self.waiting.result()
            sys.exit("the executor was to break")
        except BrokenProcessPool:
            self.renew()
        self.executor.submit(nothing).result()


def main():
    subject = Subject()
    while True:
        what = os.read(0, 1)
        if what == b"b":
            subject.make_busy()
        elif what == b"k":
            subject.recover()
        else:
            break
        os.write(1, what)
    subject.kill_busy_worker()
    subject.executor.shutdown()


if __name__ == "__main__":
    main()
