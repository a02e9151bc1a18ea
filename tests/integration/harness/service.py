"""curfew as systemd runs it: a socket for its messages, sockets that others hold."""

import re
import shutil
import signal
import socket

from .bounds import SLOW, SOON, poll
from .process import BINARY, Process


class NotifySocket:
    """Stands in for systemd: takes what sd_notify says, message by message."""

    def __init__(self, directory):
        self.path = str(directory / "notify.sock")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.settimeout(0.01)
        self.messages = []

    @property
    def env(self):
        return {"NOTIFY_SOCKET": self.path}

    def read(self):
        """All that have come so far, each as a dict."""
        while True:
            try:
                text = self.sock.recv(65536).decode()
            except TimeoutError:
                return self.messages
            self.messages.append(dict(line.split("=", 1) for line in text.splitlines()))

    def keys(self):
        """The kinds of messages in their order, without the steady ones."""
        return [next(iter(message)) for message in self.read() if not {"WATCHDOG", "STATUS"} & set(message)]

    def wait(self, key, value=None, count=1, seconds=10 * SLOW):
        """Until `count` messages have this key, and value if one is given: the last of them."""
        def found():
            matching = [m for m in self.read() if key in m and (value is None or re.search(value, m[key]))]
            return matching if len(matching) >= count else None

        return poll(found, lambda: f"{key}={value or ''} {count} times in {self.messages}", seconds)[-1]

    def close(self):
        self.sock.close()


ACTIVATE = shutil.which("systemd-socket-activate")


class Activated:
    """
    systemd-socket-activate opens the listening sockets, and becomes curfew when somebody connects.
    """

    def __init__(self, listen, names, config, env=None):
        argv = [ACTIVATE, *[arg for address in listen for arg in ("-l", address)]]
        argv += ["--fdname=" + ":".join(names), BINARY, "serve", "-c", config]
        self.process = Process(argv, env=env)

    def stop(self, number=signal.SIGTERM):
        self.process.signal(number)
        return self.process.wait_exit(10 * SLOW)


def hand_over(config, sockets, names, env=None):
    """curfew with these sockets from descriptor 3 on, as systemd hands them over; who holds them is the test."""
    script = 'i=3; for fd in $FDS; do eval "exec $i<&$fd"; i=$((i + 1)); done; LISTEN_PID=$$ exec "$@"'
    fds = [fd.fileno() for fd in sockets]
    more = {"LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": ":".join(names), "FDS": " ".join(map(str, fds)), **(env or {})}
    return Process(["bash", "-c", script, "sh", BINARY, "serve", "-c", config], env=more, pass_fds=fds)


def wait_ready(process):
    assert process.stderr.wait(lambda lines: any(line.endswith("ready") for line in lines), 10 * SLOW), \
        process.stderr.text()
