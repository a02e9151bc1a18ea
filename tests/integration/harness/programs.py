"""Other people's programs around curfew: nginx, curl, Node, a name server that says what it is told."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import urllib.parse
from pathlib import Path

from .bounds import SLOW, SOON, poll
from .process import PEERS, Process, TOOLS, run

# What `go build` keeps, for all tests that need a program of Go.
GO_CACHE = PEERS / "go-cache"

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

_NGINX_CONF = """
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log info;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log {dir}/access.log;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    default_type application/octet-stream;
    client_max_body_size 0;
    keepalive_requests 100000;
    server {{
        listen {listen}{tls};
        root {dir}/files;
        {certificate}
        location / {{ }}
        location /dav/ {{ alias {dir}/dav/; dav_methods PUT DELETE; }}
        location /small/ {{ client_max_body_size 1k; return 200 "taken\\n"; }}
        location /status/ {{ return 503 "not today\\n"; }}
        location /gone {{ return 204; }}
        location /moved {{ return 302 /elsewhere; }}
        {more}
    }}
}}
"""


class Nginx:
    """nginx as an upstream, on a socket that the kernel chose the port of and that nginx inherits."""

    def __init__(self, directory, certificates=None, more="", http2=False):
        assert NGINX, "nginx is not installed"
        self.directory = directory
        for name in ("files", "dav"):
            (directory / name).mkdir(parents=True)
            (directory / name).chmod(0o777)
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.listen(511)
        self.address = sock.getsockname()
        listen = "%s:%d" % self.address
        certificate = "" if not certificates else \
            f"ssl_certificate {certificates.cert('server')}; ssl_certificate_key {certificates.key('server')};"
        conf = directory / "nginx.conf"
        conf.write_text(_NGINX_CONF.format(
            dir=directory, user="user root;" if os.geteuid() == 0 else "", listen=listen,
            tls=(" ssl" if certificates else "") + (" http2" if http2 else ""), certificate=certificate, more=more))
        self.url = f"{'https' if certificates else 'http'}://{listen}"
        self.process = Process([NGINX, "-p", directory, "-c", conf, "-e", directory / "error.log"],
                               env={"NGINX": f"{sock.fileno()};"}, pass_fds=[sock.fileno()])
        sock.close()
        poll(lambda: (directory / "nginx.pid").exists() or not self.process.is_running(), "nginx to start", 10 * SLOW)
        assert self.process.is_running(), (directory / "error.log").read_text()

    def file(self, name, content):
        path = self.directory / "files" / name
        path.write_bytes(content)
        path.chmod(0o644)

    def uploaded(self, name):
        return (self.directory / "dav" / name).read_bytes()

    def access_log(self, count):
        """Its lines, as soon as there are so many at least: nginx writes one when it has answered."""
        path = self.directory / "access.log"
        return poll(lambda: lines if len(lines := path.read_text().splitlines()) >= count else None, f"{count} lines in nginx's log")

    def finish(self):
        if self.process.is_running():
            self.process.signal(signal.SIGTERM)
        self.process.wait_exit()


def curl(*args, seconds=SOON):
    """curl, silent and bounded: CompletedProcess with text output."""
    return run(["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", f"{seconds:g}", *args],
               seconds=seconds + 2)


def tool(name):
    path = os.path.join(TOOLS, name)
    assert os.access(path, os.X_OK), f"no test tool {path}: CURFEW_TOOLS is wrong or `make tests` was not run"
    return path


class Prometheus:
    """A Prometheus that scrapes `target` four times a second, with these files of rules."""

    def __init__(self, directory, target, rule_files=()):
        conf = directory / "prometheus.yml"
        conf.write_text(json.dumps({
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
            "rule_files": [str(path) for path in rule_files],
            "scrape_configs": [{"job_name": "curfew", "static_configs": [{"targets": ["%s:%d" % target]}]}]}))
        self.process = Process(["prometheus", f"--config.file={conf}", f"--storage.tsdb.path={directory}/data",
                                "--web.listen-address=127.0.0.1:0", "--log.format=json"])
        listening = self.process.stderr.wait(self._address, 10 * SLOW)
        if not listening:
            self.process.kill()
            raise AssertionError(f"prometheus does not listen:\n{self.process.stderr.text()}")
        self.address = ("127.0.0.1", int(listening.rsplit(":", 1)[1]))
        poll(lambda: self._get("/-/ready")[0] == 200, "prometheus to be ready, which it is not as soon as it listens", 10 * SLOW)

    def _get(self, target):
        """(status, content)"""
        connection = http.client.HTTPConnection(*self.address, timeout=SOON)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    @staticmethod
    def _address(lines):
        said = (json.loads(line) for line in lines if line.startswith("{"))
        return next((one["address"] for one in said if one.get("msg") == "Listening on"), None)

    def query(self, expression):
        """[(labels, number)] at this instant."""
        told = json.loads(self._get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))[1])
        assert told["status"] == "success", f"{expression}: {told}"
        return [(one["metric"], float(one["value"][1])) for one in told["data"]["result"]]

    def stop(self):
        self.process.kill()


class NameServer:
    """A DNS server on port 53 of a loopback address of its own. `answers`: name to IPv4 addresses, or None for silence."""

    def __init__(self, answers, ttl=1):
        self.answers = answers
        self.ttl = ttl
        self.asked = []
        self.unanswered = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        pid = os.getpid()
        for attempt in range(64):
            self.host = f"127.{53 + attempt}.{pid >> 8 & 255}.{max(1, pid & 255)}"
            try:
                self.sock.bind((self.host, 53))
                break
            except OSError as error:
                if isinstance(error, PermissionError):
                    raise
        self._closing = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        self.sock.settimeout(0.2)
        while not self._closing:
            try:
                query, peer = self.sock.recvfrom(4096)
            except TimeoutError:
                continue
            except OSError:
                return
            if reply := self._reply(query):
                self.sock.sendto(reply, peer)
            else:
                self.unanswered.append((query, peer))

    def release(self, name, addresses):
        """From now on this is the answer (no address: no such name), and also to what was asked in vain."""
        if addresses:
            self.answers[name] = addresses
        else:
            del self.answers[name]
        for query, peer in [one for one in self.unanswered if self._question(one[0])[0] == name]:
            self.sock.sendto(self._reply(query), peer)

    @staticmethod
    def _question(query):
        """The name, and where it ends."""
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        return ".".join(labels), at

    def _reply(self, query):
        name, at = self._question(query)
        question, kind = query[12:at + 5], struct.unpack("!H", query[at + 1:at + 3])[0]
        self.asked.append((name, kind))
        known = name in self.answers
        if known and self.answers[name] is None:
            return None
        addresses = self.answers[name] if known and kind == 1 else []
        flags = 0x8180 if known else 0x8183
        reply = query[:2] + struct.pack("!HHHHH", flags, 1, len(addresses), 0, 0) + question
        for address in addresses:
            reply += struct.pack("!HHHIH", 0xC00C, 1, 1, self.ttl, 4) + socket.inet_aton(address)
        return reply

    def close(self):
        self._closing = True
        self.sock.close()
        self._thread.join(SOON)


def with_resolver(directory, host, timeout=5):
    """A command prefix under which /etc/resolv.conf names only `host`; None where the system does not allow it."""
    conf = directory / "resolv.conf"
    conf.write_text(f"nameserver {host}\noptions timeout:{timeout} attempts:1\n")
    unshare = shutil.which("unshare")
    wrap = [unshare, "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(conf)]
    if os.geteuid() != 0 or not unshare or run([*wrap, "true"]).returncode != 0:
        return None
    return wrap


_NODE_HTTP2 = """
    const http2 = require("http2");
    const server = http2.createServer();
    server.on("sessionError", () => {});
    server.on("stream", (stream, headers) => {
      stream.on("error", () => {});
      if (headers[":path"] === "/hang") return;
      let size = 0;
      stream.on("data", (part) => size += part.length).on("end", () => {
        stream.respond({":status": 200});
        stream.end(String(size));
      });
    });
    server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


@contextlib.contextmanager
def node_http2():
    """The URL of a server of Node's http2: it answers how much content there was, and to /hang nothing."""
    with subprocess.Popen(["node", "-e", _NODE_HTTP2], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()
