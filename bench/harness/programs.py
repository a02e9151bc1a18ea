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
from dataclasses import dataclass
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
    subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-o", directory / "relay", peers / "relay.c",
                    "-levent_core"], check=True, timeout=120)
    subprocess.run(["go", "build", "-o", directory / "goproxy", peers / "proxy.go"], check=True, timeout=300,
                   env={**os.environ, "GO111MODULE": "off", "GOCACHE": str(directory / "go-cache")})


def listener():
    """A listening socket on a port that the kernel chose, for a program to inherit."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(4096)
    sock.setblocking(False)
    return sock


def many_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Program:
    """A server that was started and that is ended with its context."""

    def __init__(self, name, argv, directory, env=None, sock=None):
        self.name = name
        self.output = directory / f"{name}.out"
        with open(self.output, "wb") as out:
            self.popen = subprocess.Popen(
                [str(arg) for arg in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})}, pass_fds=[sock.fileno()] if sock else [],
                preexec_fn=many_descriptors)
        self.address = sock.getsockname() if sock else None
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
            self.popen.wait(1)
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

_NGINX_GLOBAL = """
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

_NGINX_UPSTREAM = _NGINX_GLOBAL + """
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


class Faulty(Program):
    def __init__(self, directory, tls=False):
        pem, key = certificate(directory)
        super().__init__("faulty-tls" if tls else "faulty", [
            binary(), "faulty", "--listen", "127.0.0.1:0", *(["--tls", "--cert", pem, "--key", key] if tls else [])],
            directory)
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


# -------------------------------------------------------------------------------------------- proxies


@dataclass(frozen=True)
class Setup:
    """What a proxy is to do. Without a pool it takes as many calls as come."""

    to: tuple
    tls: bool = False
    workers: int = 1
    deadline: str = "30s"
    pool: int = 0
    queue: int = 0
    log: bool = False


def curfew(setup, directory):
    keys = {
        "listen": "127.0.0.1:0",
        "url": f"{'https://localhost' if setup.tls else 'http://' + setup.to[0]}:{setup.to[1]}",
        "deadline": setup.deadline,
        "pool": {"size": setup.pool or 10000, "queue": setup.queue if setup.pool else 0},
        "keepalive": {"max_idle": 128, "idle_timeout": "60s"}}
    if setup.tls:
        keys["tls"] = {"ca_file": str(certificate(directory)[0])}
    conf = {"workers": setup.workers, "limits": {"connections": 20000},
            "log": {"level": "info", "access": str(directory / "curfew.access.log") if setup.log else "off"},
            "upstreams": {"api": keys}}
    return curfew_with(conf, directory)


def curfew_with(conf, directory):
    """Started with this configuration; listens where its first upstream does."""
    path = directory / "curfew.yaml"
    path.write_text(json.dumps(conf))  # which is YAML
    proxy = Program("curfew", [binary(), "serve", "-c", path], directory)
    proxy.read_address(r"upstream \S+ listens on (\S+)$(?=[^\0]*\bready$)")
    return proxy


_HAPROXY = """
global
    nbthread {workers}
    maxconn 9000
    {log}
defaults
    mode http
    {httplog}
    timeout connect {ms}ms
    timeout server {ms}ms
    timeout client {ms}ms
    timeout http-request {ms}ms
    timeout queue {ms}ms
    timeout http-keep-alive 60s
    http-reuse always
frontend callers
    bind fd@{fd}
    {refuse}
    default_backend api
backend api
    server api {host}:{port} {tls} {maxconn}
"""


def milliseconds(text):
    match = re.fullmatch(r"(\d+)(ms|s)", text)
    return int(match[1]) * (1000 if match[2] == "s" else 1)


def haproxy(setup, directory):
    sock, path = listener(), directory / "haproxy.cfg"
    path.write_text(_HAPROXY.format(
        workers=setup.workers, ms=milliseconds(setup.deadline), fd=sock.fileno(), host=setup.to[0], port=setup.to[1],
        tls=f"ssl verify required ca-file {certificate(directory)[0]} sni str(localhost) verifyhost localhost"
        if setup.tls else "",
        maxconn=f"maxconn {setup.pool}" if setup.pool else "",
        refuse=f"http-request deny deny_status 503 if {{ queue(api) ge {setup.queue} }}" if setup.pool else "",
        log="log stdout format raw local0" if setup.log else "", httplog="log global\n    option httplog"
        if setup.log else ""))
    return Program("haproxy", [program("haproxy"), "-db", "-f", path], directory, sock=sock)


_NGINX_PROXY = _NGINX_GLOBAL + """
    keepalive_timeout 60s;
    client_header_timeout {ms}ms;
    client_body_timeout {ms}ms;
    send_timeout {ms}ms;
    upstream api {{
        server {host}:{port} max_fails=0 {max_conns};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen};
        location / {{
            proxy_pass {scheme}://api;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            client_body_buffer_size 64k;
            proxy_connect_timeout {ms}ms;
            proxy_send_timeout {ms}ms;
            proxy_read_timeout {ms}ms;
            {tls}
        }}
    }}
}}
"""


def nginx(setup, directory):
    sock = listener()
    conf = _NGINX_PROXY.format(
        ms=milliseconds(setup.deadline), host=setup.to[0], port=setup.to[1],
        max_conns=f"max_conns={setup.pool}" if setup.pool else "", scheme="https" if setup.tls else "http",
        tls=f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {certificate(directory)[0]}; "
            "proxy_ssl_name localhost; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.2 TLSv1.3;"
        if setup.tls else "",
        **nginx_keys("nginx", directory, sock, workers=setup.workers,
                     log=f"{directory}/nginx.access.log" if setup.log else "off"))
    return start_nginx("nginx", conf, directory, sock)


def go(setup, directory):
    sock = listener()
    argv = [directory / "goproxy", "-fd", sock.fileno(), "-to",
            f"{'https' if setup.tls else 'http'}://{setup.to[0]}:{setup.to[1]}",
            "-pool", setup.pool or 10000, "-queue", setup.queue, "-timeout", setup.deadline]
    if setup.tls:
        argv += ["-ca", certificate(directory)[0]]
    return Program("go", argv, directory, env={"GOMAXPROCS": str(setup.workers)}, sock=sock)


def relay(setup, directory):
    sock = listener()
    return Program("relay", [directory / "relay", sock.fileno(), *setup.to], directory, sock=sock)


STARTERS = {"curfew": curfew, "haproxy": haproxy, "nginx": nginx, "go": go, "relay": relay}
PEERS = ("haproxy", "nginx", "go")


def start(name, setup, directory):
    return STARTERS[name](setup, directory)


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
