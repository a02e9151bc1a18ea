"""A program on a terminal of a chosen size, by tmux."""

import itertools
import os
import shlex
import signal
import subprocess
from pathlib import Path

from .bounds import SOON, poll
from .process import BINARY

_numbers = itertools.count()
# Pages that people may want to look at after the tests.
CAPTURES = Path(BINARY).parent / "captures"


class Terminal:
    """A shell on a terminal. `run` starts a program in it, `screen` is what a person would see."""

    def __init__(self, width=80, height=24):
        self._server = f"curfew-{os.getpid()}-{next(_numbers)}"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height),
                   "env", "PS1=$ ", "TERM=screen-256color", "/bin/sh")
        self.wait("$")

    def _tmux(self, *args):
        done = subprocess.run(["tmux", "-L", self._server, *args], capture_output=True, text=True, timeout=SOON)
        assert done.returncode == 0, (args, done.stderr)
        return done.stdout

    def run(self, *command):
        self._tmux("send-keys", "-l", shlex.join(str(word) for word in command))
        self.keys("Enter")

    def keys(self, *keys):
        """As tmux names them: "q", "Down", "C-c"."""
        self._tmux("send-keys", *keys)

    def resize(self, width, height):
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def screen(self):
        return self._tmux("capture-pane", "-p")

    def wait(self, *texts, seconds=SOON, gone=()):
        """The first screen with all of these, and none of those."""
        last = []

        def is_there():
            last[:] = [screen := self.screen()]
            return screen if all(text in screen for text in texts) and not any(text in screen for text in gone) else None

        return poll(is_there, lambda: f"{texts} without {gone} on the screen:\n{last[0]}", seconds)

    def must_be_restored(self):
        """The shell is back, on the screen that was there before, and shows what is typed."""
        self.wait("$", gone=["curfew at", "q quit"])
        assert self._tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split() == ["0", "1"]
        self.run("stty", "-a")
        modes = self.wait("isig")
        assert " echo " in modes and " icanon " in modes and " icrnl " in modes, modes

    def processes(self):
        """Ids of what the shell has started."""
        shell = self._tmux("display-message", "-p", "#{pane_pid}").strip()
        return [int(pid) for pid in Path(f"/proc/{shell}/task/{shell}/children").read_text().split()]

    def capture(self, name):
        """Keeps the screen for people, in the build's directory."""
        CAPTURES.mkdir(exist_ok=True)
        text = self.screen()
        (CAPTURES / f"{name}.txt").write_text(text)
        print(text)
        return text

    def close(self):
        """
        What still runs in it ends first. At the end of a sanitized program there is a look for leaks, which a hangup's SIGCONT
        can have wait for ever.
        """
        for pid in self.processes():
            os.kill(pid, signal.SIGTERM)
        poll(lambda: not self.processes(), "the shell to be alone")
        subprocess.run(["tmux", "-L", self._server, "kill-server"], capture_output=True, timeout=SOON)
