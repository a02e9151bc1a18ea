"""A program under test: its output is collected as it comes, and it never outlives the test."""

import contextlib
import os
import re
import resource
import select
import signal
import subprocess
import threading
from pathlib import Path

from .bounds import SOON, poll

BINARY = os.environ.get("CURFEW", "curfew")
TOOLS = os.environ.get("CURFEW_TOOLS", "")
# What npm fetched, and what was built of others' programs: the same for every build of curfew.
PEERS = Path(os.environ.get("CURFEW_PEERS", Path(__file__).resolve().parents[3] / "build" / "peers"))

SANITIZER_FINDING = re.compile(
    r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer")


def many_descriptors():
    """As many open files as the system lets it have, for this process and what it starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def go_ahead_of_others(pid=0):
    """All threads of the process, or this thread and what it starts, run before all that is not real-time: what they take
    is theirs, and not the load's on the machine. False: this user may not."""
    try:
        for thread in os.listdir(f"/proc/{pid}/task") if pid else [0]:
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    return True


class Lines:
    """The lines of a pipe. A thread collects them, so that the pipe's writer never blocks; whoever asks for them has all that
    was written before it asked, whether or not that thread has had its turn."""

    CHUNK = 1 << 16  # what a pipe holds
    CHUNKS = 16      # at once, of a writer that never pauses

    def __init__(self, stream):
        self._stream = stream
        os.set_blocking(stream.fileno(), False)
        self._lines = []
        self._rest = b""
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self):
        readable = select.poll()
        readable.register(self._stream.fileno(), select.POLLIN)
        while not self._ended:
            readable.poll()
            with self._changed:
                self._take()
        self._stream.close()  # by this thread alone: another could close what it polls

    def _take(self):
        """Takes what is in the pipe; its caller holds the lock."""
        for _ in range(self.CHUNKS):
            if self._ended:
                return
            try:
                raw = os.read(self._stream.fileno(), self.CHUNK)
            except BlockingIOError:
                return
            *whole, self._rest = (self._rest + raw).split(b"\n")
            if not raw:
                self._ended = True
                whole, self._rest = [self._rest] if self._rest else [], b""
            self._lines += [line.decode("utf-8", "backslashreplace") for line in whole]
            self._changed.notify_all()

    def wait(self, found, seconds):
        """Until `found(lines)` is true, or the stream has ended, or time is up: what it returned last."""
        with self._changed:
            self._take()
            self._changed.wait_for(lambda: found(self._lines) or self._ended, seconds)
            return found(self._lines)

    @property
    def lines(self):
        with self._changed:
            self._take()
            return list(self._lines)

    def text(self):
        return "\n".join(self.lines)

    def join(self, seconds=SOON):
        self._thread.join(seconds)


class Process:
    def __init__(self, argv, *, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=None, cwd=None, pass_fds=()):
        self.argv = [str(arg) for arg in argv]
        # Here, not in the child: that would take a fork of all that Python has in memory, some 15 ms for each program.
        many_descriptors()
        self.popen = subprocess.Popen(
            self.argv, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, cwd=cwd, pass_fds=pass_fds,
            env={**os.environ, **(env or {})})
        self.stderr = Lines(self.popen.stderr)
        self.stdout = Lines(self.popen.stdout) if self.popen.stdout else None

    @property
    def pid(self):
        return self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    @contextlib.contextmanager
    def paused(self):
        """Nothing of it runs meanwhile: what its peers do looks to it as if it happened at once."""
        self.signal(signal.SIGSTOP)
        try:
            # A thread that is in its loop may go on for a while, until the one that takes the signal has told it.
            poll(lambda: all(_state(task) == "T" for task in Path(f"/proc/{self.pid}/task").iterdir()), "all threads to stop")
            yield
        finally:
            self.signal(signal.SIGCONT)

    def wait_exit(self, seconds=SOON):
        """The exit status. A process that does not end in time is killed, and that is a failure."""
        try:
            status = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(SOON)
            raise AssertionError(f"{self.argv} did not end within {seconds:g} s; stderr:\n{self.stderr.text()}") from None
        self.stderr.join()
        return status

    def kill(self):
        if self.is_running():
            self.popen.kill()
        self.popen.wait(SOON)
        self.stderr.join()

    def must_be_clean(self):
        text = self.stderr.text()
        assert not SANITIZER_FINDING.search(text), f"sanitizer finding:\n{text}"

    def rss_bytes(self):
        return int(_proc_value(self.pid, "status", "VmRSS")) * 1024

    def anonymous_bytes(self):
        """Its own memory, to the page: without files' pages, which come whenever code runs for the first time."""
        return int(_proc_value(self.pid, "smaps_rollup", "Anonymous")) * 1024

    def blocked_signals(self):
        """Of each thread, by its number."""
        def blocked(task):
            mask = int(_proc_value(f"{self.pid}/task/{task}", "status", "SigBlk"), 16)
            return {number for number in range(1, 65) if mask >> (number - 1) & 1}

        return {int(task): blocked(task) for task in os.listdir(f"/proc/{self.pid}/task")}

    def switches(self):
        """How often its threads have begun to wait for something."""
        return sum(int(_proc_value(f"{self.pid}/task/{task}", "status", "voluntary_ctxt_switches"))
                   for task in os.listdir(f"/proc/{self.pid}/task"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def sleeps(self):
        """Does none of its threads run?"""
        return all(_state(task) == "S" for task in Path(f"/proc/{self.pid}/task").iterdir())


def _state(task):
    """One letter, as proc_pid_stat(5) has it."""
    return (task / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


def _proc_value(where, file, key):
    with open(f"/proc/{where}/{file}", encoding="ascii") as lines:
        for line in lines:
            if line.startswith(key + ":"):
                return line.split()[1]
    raise AssertionError(f"no {key} in /proc/{where}/{file}")


def run(argv, *, seconds=SOON, stdin="", env=None, cwd=None):
    """A program that ends by itself: CompletedProcess with text output."""
    try:
        done = subprocess.run([str(arg) for arg in argv], input=stdin, capture_output=True, text=True, timeout=seconds,
                              errors="backslashreplace", env={**os.environ, **(env or {})}, cwd=cwd, check=False)
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"{late.cmd} did not end within {seconds:g} s: {late.stderr}") from None
    assert not SANITIZER_FINDING.search(done.stderr), done.stderr
    return done
