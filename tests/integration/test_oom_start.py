"""Without memory or descriptors from the start on: as test_oom.py, each allocation or each descriptor fails once."""

import errno
import re
import signal

import pytest

from harness.bounds import SLOW
from harness.curfew import write_config
from harness.faults import ALL_THREADS, ALLOC, CREATE, each_fault
from harness.process import BINARY, Process, run


def _start_and_stop(config, faults):
    """(exit status, stderr) of a proxy that is ended when it is ready."""
    process = Process([BINARY, "serve", "-c", config], env=faults.env)
    try:
        if process.stderr.wait(lambda lines: any(line.endswith(": ready") for line in lines), 10 * SLOW):
            process.signal(signal.SIGTERM)
        return process.wait_exit(10 * SLOW), process.stderr.text()
    finally:
        process.kill()


def _must_start_or_say_why(config, faults, kinds, stride=1, **more):
    ends = set()
    for nth in each_fault(faults, kinds, stride, threads=ALL_THREADS, **more):
        status, text = _start_and_stop(config, faults)
        if "CHECK failed: sanitizer_" in text:
            continue  # AddressSanitizer had no memory for itself
        said = [line for line in text.splitlines() if line.startswith("curfew: ")]
        assert status in (0, 1), f"fault {nth}: status {status}\n{text}"
        assert status == 0 or said and ": ready" not in text, f"fault {nth}: ended without a reason\n{text}"
        ends.add(status)
    assert ends == {0, 1}


@pytest.fixture
def config(tmp_path):
    def write(**api):
        path = tmp_path / "start.yaml"
        write_config(path, {"api": {"url": "http://127.0.0.1:1", "pool": "shared", **api}},
                     {"workers": 2, "admin": {"listen": "127.0.0.1:0"}, "pools": {"shared": {"size": 5}},
                      "log": {"access": str(tmp_path / "start.log")}})
        return path

    return write


def test_a_start_without_memory_says_so(config, faults):
    routes = [{"path": "/a", "methods": ["GET"], "deadline": "1s"}, {"path": "/b", "pool": {"size": 3}, "breaker": {"statuses": 500}}]
    _must_start_or_say_why(config(routes=routes, headers={"set": {"X-A": "1"}}, breaker={}, addresses={"eject": {}}), faults, ALLOC, stride=3)


def callers_by_tls(certificates):
    return {"listen_tls": "127.0.0.1:0",
            "caller_tls": {"cert_file": certificates.cert("server"), "key_file": certificates.key("server"),
                           "client_ca_file": certificates.ca, "client_names": ["client.test", "spiffe://x/y"]}}


@pytest.mark.sound_only  # OpenSSL leaks a few bytes where it gives up
def test_a_start_under_tls_without_memory_says_so(config, faults, certificates):
    path = config(url="https://127.0.0.1:1", tls={"ca_file": certificates.ca, "cert_file": certificates.cert("client"),
                                                   "key_file": certificates.key("client")}, **callers_by_tls(certificates))
    _must_start_or_say_why(path, faults, ALLOC, stride=1 + 400)


def test_a_start_without_descriptors_says_so(config, faults):
    _must_start_or_say_why(config(), faults, CREATE, error=errno.EMFILE)


def _must_check_or_say_why(path, faults, why="memory", **more):
    ends = set()
    for nth in each_fault(faults, ALLOC, threads=ALL_THREADS, **more):
        done = run([BINARY, "check", path], env=faults.env)
        assert done.returncode == 0 or done.returncode == 1 and re.search(why, done.stderr), f"fault {nth}: {done}"
        ends.add(done.returncode)
    assert ends == {0, 1}


def test_a_check_without_memory_says_so(config, faults):
    _must_check_or_say_why(config(), faults)


@pytest.mark.sound_only  # OpenSSL leaks a few bytes where it gives up
def test_a_check_of_certificates_without_memory_says_so(config, faults, certificates):
    path = config(url="https://127.0.0.1:1", tls={"ca_file": certificates.ca, "cert_file": certificates.cert("client"),
                                                   "key_file": certificates.key("client")}, **callers_by_tls(certificates))
    _must_check_or_say_why(path, faults, r"memory|tls\.\w+_file: /", stride=1 + 400)  # OpenSSL's words vary
