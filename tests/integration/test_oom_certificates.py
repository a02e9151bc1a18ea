"""Certificates without memory: as test_oom.py, each allocation fails once."""

import contextlib
import ssl

import pytest

from harness.bounds import SANITIZED
from harness.faults import ALLOC, WORKERS, each_fault
from harness.peers import echo
from harness.wire import Cut


@pytest.mark.parametrize("which", ["wrong-name", "untrusted", "expired"])
def test_without_memory_no_wrong_certificate_is_accepted(curfew, faults, upstream, certificates, which):
    """To verify a certificate needs memory: to have none must not mean that there is nothing to verify."""
    up = upstream(echo, tls=certificates.server(which))
    proxy = curfew(url=up.url, env=faults.env, tls={"ca_file": certificates.ca, "server_name": "api.test"})
    proxy.ask()
    # One allocation of many once let a wrong name through: none is left out, but where sanitizers are slow.
    stride = 23 if which != "wrong-name" else 7 if SANITIZED else 1
    for nth in each_fault(faults, ALLOC, stride, threads=WORKERS):
        with contextlib.suppress(Cut, ConnectionError):
            response = proxy.ask()
            assert response.status in (500, 502), f"fault {nth}: {response}"
        faults.disarm()
        assert proxy.process.is_running()
    assert proxy.metrics().calls("completed") == 0


@pytest.mark.parametrize("which", ["wrong-name", "untrusted"])
def test_without_memory_no_caller_is_let_in_by_a_wrong_certificate(curfew, faults, upstream, certificates, which):
    proxy = curfew(url=upstream(echo).url, env=faults.env, listen_tls="127.0.0.1:0",
                   caller_tls={"cert_file": certificates.cert("server"), "key_file": certificates.key("server"),
                               "client_ca_file": certificates.ca, "client_names": "client.test"})
    context = ssl.create_default_context(cafile=certificates.ca)
    context.load_cert_chain(certificates.cert(which), certificates.key(which))

    def ask():
        caller = proxy.caller(index=1)
        try:
            caller.sock = context.wrap_socket(caller.sock, server_hostname="localhost")
            return caller.ask()
        finally:
            caller.close()

    with contextlib.suppress(Cut, OSError):
        ask()  # a sanitizer needs memory for a thread that begins: the workers have
    for nth in each_fault(faults, ALLOC, 23 if which != "wrong-name" else 7 if SANITIZED else 2, threads=WORKERS):
        with contextlib.suppress(Cut, OSError):
            response = ask()
            raise AssertionError(f"fault {nth}: {response}")
        faults.disarm()
        assert proxy.process.is_running()
    assert proxy.metrics().calls("completed") == 0
