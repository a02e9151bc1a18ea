"""gRPC as its users have it: a server of grpcio behind curfew; grpcio, grpc-js and grpc-go as callers."""

import json
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from .bounds import SANITIZED
from .process import PEERS
from .programs import GO_CACHE

PROGRAMS = Path(__file__).resolve().parents[2] / "grpc"
MODULES = PEERS / "grpc" / "node_modules"
LONG_MS = 20_000  # a caller's own deadline, when another is to strike


class Server(grpc.GenericRpcHandler):
    """Methods of /t.T: Echo (one message for each), Three, Count, Hang, After (one message, then silence), Left (milliseconds), Fail."""

    def __init__(self, certificates=None):
        self.freed = threading.Event()
        self.metadata, self.left = [], []
        self.server = grpc.server(ThreadPoolExecutor(64), handlers=[self])
        self.scheme = "https" if certificates else "http"
        if certificates:
            pair = [Path(path).read_bytes() for path in (certificates.key("server"), certificates.cert("server"))]
            self.port = self.server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        else:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    @property
    def keys(self):
        return {"url": f"{self.scheme}://{'localhost' if self.scheme == 'https' else '127.0.0.1'}:{self.port}", "http2": {"use": "always"}}

    def service(self, details):
        name = details.method.rsplit("/", 1)[1]
        return grpc.stream_stream_rpc_method_handler(getattr(self, f"_{name.lower()}")) if hasattr(self, f"_{name.lower()}") else None

    def _begin(self, context):
        self.left.append(context.time_remaining())
        self.metadata.append(dict(context.invocation_metadata()))

    def _echo(self, messages, context):
        self._begin(context)
        yield from messages

    def _three(self, messages, context):
        for _ in messages:
            yield from (b"1", b"2", b"3")

    def _count(self, messages, context):
        yield str(len(list(messages))).encode()

    def _hang(self, messages, context):
        self._begin(context)
        self.freed.wait()
        yield from ()

    def _after(self, messages, context):
        yield b"1"
        self.freed.wait()

    def _fail(self, messages, context):
        yield b"1"
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")

    def close(self):
        self.freed.set()
        self.server.stop(None)


def _in_python(target, method, kind, deadline_ms):
    with grpc.insecure_channel(target) as channel:
        held, messages = threading.Event(), 0

        def upload():
            yield b"one"
            if kind.endswith("-open"):
                held.wait()
            else:
                yield b"two"

        uploads = kind.split("-")[0] in ("client", "bidi")
        call = channel.stream_stream(method)(upload() if uploads else iter([b"one"]), timeout=deadline_ms / 1000)
        try:
            for _ in call:
                messages += 1
        except grpc.RpcError:
            pass
        held.set()
        return {"code": call.code().value[0], "details": call.details(), "messages": messages}


def _run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _node(program, module, *words):
    if not (MODULES / module).exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{MODULES / module}: npm could not fetch it")
    return _run(["node", PROGRAMS / program, MODULES / module, *words])


def _go(name, *words):
    program = PEERS / "grpc" / name
    source = PROGRAMS / f"{name}.go"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        made = program.with_name(f"{name}.{os.getpid()}")
        env = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "", "GOCACHE": str(GO_CACHE)}
        subprocess.run(["go", "build", "-o", made, source], env=env, check=True, timeout=600)
        made.rename(program)
    return _run([program, *words])


def _in_node(*words):
    return _node("client.mjs", "@grpc/grpc-js", *words)


def _in_go(*words):
    return _go("client", *words)


# A GET over HTTP/2 by TLS: status, bytes, and whether they came to an end. fetch(url, ca_file)
FETCHES = {"go": lambda *words: _go("fetch", *words), "undici": lambda *words: _node("fetch.mjs", "undici", *words)}

# Under a sanitizer grpcio stands for all: the others take minutes of processor, and what they send release builds get.
CALLERS = {"python": _in_python} if SANITIZED else {"python": _in_python, "node": _in_node, "go": _in_go}


def call(language, proxy, method, kind="unary", *, deadline_ms=LONG_MS, upstream=None):
    host, port = proxy.address(upstream)
    return CALLERS[language](f"{host}:{port}", method, kind, deadline_ms)
