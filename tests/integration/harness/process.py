"""A program under test: its output is collected as it comes, and it never outlives the test."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import threading
from pathlib import Path

from .bounds import SOON, poll

BINARY = os.environ.get("CURFEW", "curfew")
TOOLS = os.environ.get("CURFEW_TOOLS", "")

SANITIZER_FINDING = re.compile(
    r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer")


def many_descriptors():
    """As many open files as the system lets it have, for this process and what it starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Lines:
    """The lines of a stream, collected by a thread so that its writer never blocks."""

    def __init__(self, stream):
        self.lines = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._collect, args=(stream,), daemon=True)
        self._thread.start()

    def _collect(self, stream):
        with stream:
            for raw in stream:
                with self._changed:
                    self.lines.append(raw.decode("utf-8", "backslashreplace").rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait(self, found, seconds):
        """Until `found(lines)` is true, or the stream has ended, or time is up: what it returned last."""
        with self._changed:
            self._changed.wait_for(lambda: found(self.lines) or self._ended, seconds)
            return found(self.lines)

    def text(self):
        with self._changed:
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

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


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
