"""The programs of the comparison: those under test, and those that they are tested with."""

import contextlib
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

from .machine import family

TREE = Path(__file__).resolve().parents[2]
SBIN = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
START_S = 10


class Failed(Exception):
    """Something did not do what it had to: the row is not valid."""


def binary():
    """curfew, as the environment says or as `make` builds it."""
    return os.environ.get("CURFEW") or str(TREE / "build/release/curfew")


def load_tool():
    return os.path.join(os.environ.get("CURFEW_TOOLS") or TREE / "build/release/tools", "load")


def program(name):
    path = shutil.which(name, path=SBIN)
    if not path:
        raise Failed(f"{name} is not installed: scripts/install-packages bench")
    return path


def prepare(directory):
    """Builds what is missing. Peers go into `directory`."""
    if "CURFEW" not in os.environ:
        subprocess.run(["make", "--no-print-directory", "-C", TREE, "-j2", "build/release/curfew",
                        "build/release/tools/load"], check=True, stdout=subprocess.DEVNULL, timeout=600)
    peers = TREE / "bench/peers"
    for name, more in (("relay", ["-levent_core"]), ("tunnels", []), ("locks.so", ["-shared", "-fPIC"])):
        subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-o", directory / name,
                        peers / f"{name.partition('.')[0]}.c", *more], check=True, timeout=120)
    subprocess.run(["go", "build", "-o", directory / "goproxy", peers / "proxy.go"], check=True, timeout=300,
                   env={**os.environ, "GO111MODULE": "off", "GOCACHE": str(directory / "go-cache")})


def listener():
    """A listening socket on a port that the kernel chose, for a program to inherit."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(4096)
    sock.setblocking(False)
    return sock


def free_port():
    """For programs that take no listening socket from others: one that was free a moment ago."""
    with listener() as sock:
        return sock.getsockname()[1]


def many_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Program:
    """A server that was started and that is ended with its context."""

    def __init__(self, name, argv, directory, env=None, sock=None, address=None, patience=1):
        self.name = name
        self.patience = patience  # seconds in which it ends when it is told to
        self.output = directory / f"{name}.out"
        with open(self.output, "wb") as out:
            self.popen = subprocess.Popen(
                [str(arg) for arg in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})}, pass_fds=[sock.fileno()] if sock else [],
                preexec_fn=many_descriptors)
        self.address = sock.getsockname() if sock else address
        if sock:
            sock.close()

    @property
    def pid(self):
        return self.popen.pid

    def read_address(self, pattern):
        """Where it listens, once it says so."""
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.popen.poll() is None:
            if match := re.search(pattern, self.output.read_text("utf-8", "replace"), re.M):
                host, port = match[1].rsplit(":", 1)
                self.address = (host, int(port))
                return
            time.sleep(0.005)
        self.stop()
        raise Failed(f"{self.name} does not start: {self.output.read_text('utf-8', 'replace')[-500:]}")

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(self.patience)
        except subprocess.TimeoutExpired:
            for pid in family(self.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.popen.wait(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# ------------------------------------------------------------------------------------------ upstreams

FILES = {"small": 128, "100k": 100_000, "1m": 1_000_000}
PATTERN = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxy"
GRPC_MESSAGE = b"\0\0\0\0\x64" + PATTERN[:50] * 2

NGINX_GLOBAL = """
daemon off;
worker_processes {workers};
pid {dir}/{name}.pid;
error_log {dir}/{name}.error.log warn;
worker_rlimit_nofile 20000;
{user}
events {{ worker_connections 20000; }}
http {{
    access_log {log};
    client_body_temp_path {dir}/{name}.body;
    proxy_temp_path {dir}/{name}.proxy;
    fastcgi_temp_path {dir}/{name}.fastcgi;
    uwsgi_temp_path {dir}/{name}.uwsgi;
    scgi_temp_path {dir}/{name}.scgi;
    default_type application/octet-stream;
    client_max_body_size 0;
    keepalive_requests 1000000000;
"""

_NGINX_UPSTREAM = NGINX_GLOBAL + """
    sendfile on;
    tcp_nopush on;
    open_file_cache max=100;
    server {{
        listen {listen}{tls};
        root {dir}/files;
        {certificate}
    }}
}}
"""


def certificate(directory):
    """A self-signed certificate for localhost, and its key."""
    pem, key = directory / "localhost.pem", directory / "localhost.key"
    if not pem.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", pem, "-days", "30", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                       check=True, capture_output=True, timeout=30)
    return pem, key


def both_in_one(directory):
    """Certificate and key, as HAProxy wants them."""
    path = directory / "localhost.both"
    path.write_text("".join(one.read_text() for one in certificate(directory)))
    return path


def start_nginx(name, conf, directory, sock):
    path = directory / f"{name}.conf"
    path.write_text(conf)
    return Program(name, [program("nginx"), "-p", directory, "-c", path, "-e", directory / f"{name}.error.log"],
                   directory, env={"NGINX": f"{sock.fileno()};"}, sock=sock)


def nginx_keys(name, directory, sock, **more):
    return {"dir": directory, "name": name, "workers": 1, "log": "off",
            "user": "user root;" if os.geteuid() == 0 else "", "listen": "%s:%d" % sock.getsockname(), **more}


def nginx_upstream(directory, tls=False):
    """One worker that serves files of FILES."""
    files = directory / "files"
    files.mkdir(exist_ok=True)
    for name, size in FILES.items():
        (files / name).write_bytes((PATTERN * (size // len(PATTERN) + 1))[:size])
    pem, key = certificate(directory)
    name, sock = "upstream-tls" if tls else "upstream", listener()
    # The same cipher for all, or each proxy's own preference would be measured.
    certs = f"ssl_certificate {pem}; ssl_certificate_key {key}; ssl_protocols TLSv1.3; " \
            "ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;" if tls else ""
    return start_nginx(name, _NGINX_UPSTREAM.format(
        tls=" ssl" if tls else "", certificate=certs, **nginx_keys(name, directory, sock)), directory, sock)


def nghttpd(directory):
    """One thread that serves the same files over HTTP/2, and one of gRPC's messages: to whichever method, with status 0."""
    port, types = free_port(), directory / "mime.types"
    types.write_text("application/grpc grpc\n")
    (directory / "files/unary.grpc").write_bytes(GRPC_MESSAGE)
    return Program("nghttpd", [program("nghttpd"), "--no-tls", "-a", "127.0.0.1", "-d", directory / "files",
                               f"--mime-types-file={types}", "--trailer=grpc-status: 0", port], directory,
                   address=("127.0.0.1", port))


class Faulty(Program):
    """Each speaks HTTP/2, too: by prior knowledge, or by ALPN."""

    def __init__(self, directory, tls=False):
        pem, key = certificate(directory)
        super().__init__("faulty-tls" if tls else "faulty", [
            binary(), "faulty", "--listen", "127.0.0.1:0", "--http2",
            *(["--tls", "--cert", pem, "--key", key] if tls else [])], directory)
        self.read_address(r"listening on (?:\w+://)?(\S+)$")

    def ask(self, method, path):
        status, content = fetch(self.address, path, method)
        if status != 200:
            raise Failed(f"faulty answers {method} {path} with {status}")
        return content

    def stats(self):
        return json.loads(self.ask("GET", "/stats"))

    def reset(self):
        self.ask("POST", "/stats/reset")


def fetch(address, path, method="GET", content=None, tls=None):
    """(status, content) of one request on a connection of its own."""
    kind = http.client.HTTPSConnection if tls else http.client.HTTPConnection
    more = {"context": tls} if tls else {}
    connection = kind(*address, timeout=START_S, **more)
    try:
        connection.request(method, path, content)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException, ssl.SSLError) as error:
        raise Failed(f"{method} {path}: {error!r}") from error
    finally:
        connection.close()


def until_answers(proxy, path):
    """(status, content) of the first request that is answered."""
    end = time.monotonic() + START_S
    while True:
        try:
            return fetch(proxy.address, path)
        except Failed:
            if time.monotonic() > end or proxy.popen.poll() is not None:
                proxy.stop()
                raise
            time.sleep(0.02)


def curfew_version():
    """("curfew", version, commit and the library whose loop it runs on)"""
    version = subprocess.run([binary(), "version"], capture_output=True, text=True, timeout=10, check=False)
    commit = subprocess.run(["git", "-C", TREE, "describe", "--always", "--dirty"], capture_output=True, text=True,
                            timeout=10, check=False)
    libevent = subprocess.run(["pkg-config", "--modversion", "libevent"], capture_output=True, text=True, timeout=10,
                              check=False)
    number = re.search(r"\d[\d.]*", version.stdout)
    return "curfew", f"{number[0] if number else '?'} ({commit.stdout.strip() or 'no commit'}), " \
                     f"libevent {libevent.stdout.strip()}"
