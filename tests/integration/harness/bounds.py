"""How long anything may take. Nothing in these tests waits without a bound, and nothing sleeps."""

import os
import select
import time

SANITIZED = bool(os.environ.get("CURFEW_SAN"))
THREAD_SANITIZED = os.environ.get("CURFEW_SAN") == "thread"

# Sanitizer builds are slower: bounds that are about speed are this many times longer.
SLOW = float(os.environ.get("CURFEW_SLOW") or (3 if SANITIZED else 1))

# How late a call may be over, as a caller sees it (on a quiet machine some milliseconds: bench measures that). Tests that
# ask are marked `timed`, and run one at a time; under ASan, where the bound is a longer one, two at a time.
LATE = 0.050 * SLOW
SIDE_BY_SIDE = "PYTEST_XDIST_WORKER" in os.environ and "CURFEW_TIMED" not in os.environ

# Anything that should happen at once: long enough that only a hang exceeds it.
SOON = 5.0 * SLOW

# One whole test with its fixtures. `make oom` allows itself longer ones.
TEST = float(os.environ.get("CURFEW_TEST_SECONDS") or 60 * SLOW)

_POLL = 0.004


def poll(condition, what, seconds=SOON):
    """Asks until `condition()` is true and returns what it returned. `what` says what was waited for."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(_POLL)


def _ready(sock, events, seconds):
    poller = select.poll()  # not select(): it knows no descriptor above 1,023
    poller.register(sock, events)
    return bool(poller.poll(seconds * 1000))


def readable(sock, seconds=0.0):
    """Is there something to read or to accept, be it an end, or does it come in that time?"""
    return _ready(sock, select.POLLIN, seconds)


def writable(sock, seconds=0.0):
    """Is there room to write, or does it come in that time?"""
    return _ready(sock, select.POLLOUT, seconds)


class Stopwatch:
    """Starts when made. Make it before the first byte of a request is sent."""

    def __init__(self):
        self.start = time.monotonic()

    def elapsed(self):
        return time.monotonic() - self.start

    def is_over_at(self, seconds, late=LATE):
        """The call had to end now: not before `seconds` have passed, and hardly after."""
        elapsed = self.elapsed()
        assert not SIDE_BY_SIDE, "a test that says how late something may be is marked `timed`"
        assert seconds <= elapsed <= seconds + late, \
            f"over after {elapsed * 1000:.1f} ms, due at {seconds * 1000:.0f} to {(seconds + late) * 1000:.0f} ms"
