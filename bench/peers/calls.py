# calls.py - a ProcessPoolExecutor with one warm worker, which empty tasks are given to.
#
# Each line on standard input says what to do, and a line is written when it is done:
#   trips N    submits one task and waits for it, N times; answered with the median of their times, in ns
#   submit N   N tasks, of which at most 512 are under way at once; answered with N
import collections
import concurrent.futures
import statistics
import sys
import time

IN_FLIGHT = 512


def nothing():
    return 0


def median_trip(executor, count):
    times = []
    for _ in range(count // 10 + count):
        start = time.perf_counter_ns()
        executor.submit(nothing).result()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times[count // 10 :])


def submit(executor, count):
    under_way = collections.deque()
    for _ in range(count):
        if len(under_way) == IN_FLIGHT:
            under_way.popleft().result()
        under_way.append(executor.submit(nothing))
    while under_way:
        under_way.popleft().result()
    return count


def main():
    do = {"trips": median_trip, "submit": submit}
    with concurrent.futures.ProcessPoolExecutor(1) as executor:
        executor.submit(nothing).result()
        for line in iter(sys.stdin.readline, ""):
            what, count = line.split()
            print(do[what](executor, int(count)), flush=True)


if __name__ == "__main__":
    main()
