"""Runs one command and says what it took, as JSON on its last line of stderr: a program of its own, small on purpose.

A process inherits the peak memory of what started it, and the benchmark itself is large.
"""

import json
import os
import resource
import sys
import time


def main() -> int:
    """`python -I -S measured.py COMMAND…`"""
    begin = time.perf_counter()
    pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
    _, status = os.waitpid(pid, 0)
    end = time.perf_counter()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = {
        "begin": begin,  # `perf_counter` is one clock for all processes
        "seconds": end - begin,
        "cpu": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss * 1024,
        "code": os.waitstatus_to_exitcode(status),
    }
    sys.stderr.write(f"\n{json.dumps(taken)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
