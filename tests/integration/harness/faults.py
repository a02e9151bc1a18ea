"""Calls to the system that fail: what tests/preload/faults.c, preloaded into curfew, is told to do."""

import contextlib
import errno
import mmap
import os
import struct

from .bounds import SANITIZED
from .programs import tool

# struct control, and the bits of its kinds.
_FORMAT = struct.Struct("=11Q")
_NAMES = ("armed", "kinds", "threads", "from", "to", "period", "error", "bytes", "hangs", "seen", "failed")

ALLOC, ACCEPT, SOCKET, CONNECT, WATCH, CREATE, RECEIVE, SEND, WRITE = (1 << bit for bit in range(9))
ALL_THREADS, MAIN, WORKERS = range(3)

_EVER = (1 << 64) - 1

# `make oom` wants all faults; scripts/test takes samples of the long scenarios.
_ALL = os.environ.get("CURFEW_OOM") == "all"


class Faults:
    """Made by the fixture `faults`; give its `env` to the program that is to have them."""

    def __init__(self, directory):
        path = directory / "faults"
        path.write_bytes(bytes(_FORMAT.size))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), _FORMAT.size)
        self.env = {"LD_PRELOAD": tool("faults.so"), "CURFEW_FAULTS": str(path)}
        if SANITIZED:
            # Its own malloc must not come before ours, so it is not the first library.
            options = os.environ.get("ASAN_OPTIONS", "")
            self.env["ASAN_OPTIONS"] = options + ":verify_asan_link_order=0"

    def _put(self, **fields):
        values = [fields.get(name, 0) for name in _NAMES]
        _FORMAT.pack_into(self._map, 0, 0, *values[1:])
        _FORMAT.pack_into(self._map, 0, *values)

    def _get(self, name):
        return struct.unpack_from("=Q", self._map, 8 * _NAMES.index(name))[0]

    @property
    def seen(self):
        return self._get("seen")

    @property
    def failed(self):
        return self._get("failed")

    def arm(self, kinds, nth=1, *, ever=False, period=0, error=errno.ENOMEM, bytes=0, hangs=0,
            threads=WORKERS):
        """
        From now on the nth call of these kinds fails with `error` (with `ever`, all from then on; with `period`, all of
        those but each period-th; with `hangs`, it does so only when disarmed). Calls that do not fail move `bytes` bytes at
        most, if that is not 0.
        """
        self._put(armed=1, kinds=kinds, threads=threads, **{"from": nth}, to=_EVER if ever else nth, period=period,
                  error=error, bytes=bytes, hangs=hangs)

    def disarm(self):
        """Calls succeed again. `seen` and `failed` stay as they are."""
        struct.pack_into("=Q", self._map, 0, 0)

    @contextlib.contextmanager
    def armed(self, *args, **more):
        self.arm(*args, **more)
        try:
            yield self
        finally:
            self.disarm()


def each_fault(faults, kinds, stride=1, **more):
    """Arms the first fault, then the next one …; ends when a round has not met its fault."""
    nth, rounds = 1, 0
    while True:
        faults.arm(kinds, nth, **more)
        yield nth
        faults.disarm()
        if not faults.failed:
            break
        rounds += 1
        nth += 1 if _ALL else stride
    assert rounds > 0, "the scenario makes no such call"
