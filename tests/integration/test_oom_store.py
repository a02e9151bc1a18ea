"""Without memory, where a fleet's store is spoken to: as test_oom.py, each allocation fails once."""

import pytest

from harness.bounds import SOON, poll
from harness.curfew import Curfew, Faulty, write_config
from harness.faults import ALL_THREADS, ALLOC, MAIN, each_fault
from harness.process import BINARY, run
from harness.stores import RedisServer


@pytest.fixture
def server(tmp_path):
    store = RedisServer(tmp_path / "store")
    yield store
    store.process.kill()


def write(tmp_path, server, url):
    path = tmp_path / "curfew.yaml"
    write_config(path, {"api": {"url": url, "deadline": "1s", "pool": {"size": 5, "fleet": True}}},
                 {"workers": 1, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": "off"},
                  "fleet": {"store": server.url, "name": "prod", "hosts": 2}})
    return path


def test_a_check_of_the_store_ends_with_a_reason(tmp_path, server, faults):
    config = write(tmp_path, server, "http://127.0.0.1:9")
    ends = set()
    for nth in each_fault(faults, ALLOC, 11, threads=ALL_THREADS):
        done = run([BINARY, "check", "--store", "--offline", "--stop-timeout", "5m", config], env=faults.env)
        text = done.stdout + done.stderr
        if "CHECK failed: sanitizer_" in text:
            continue  # AddressSanitizer had no memory for itself
        assert done.returncode in (0, 1) and text, f"fault {nth}: status {done.returncode}\n{text}"
        ends.add(done.returncode)
    assert 0 in ends


def test_a_connection_to_the_store_is_made_in_the_end(tmp_path, server, faults):
    """Each time it is cut, and one allocation of what follows fails."""
    api = Faulty()
    host = Curfew(tmp_path, write(tmp_path, server, api.url), env=faults.env)
    try:
        poll(lambda: server.client.hlen("curfew:{prod/api}:entries") == 1, "the host to be in the book")
        server.client.hset("curfew:{prod/api}:book", mapping={"unknown_until": 0, "minted": 0})
        for _ in each_fault(faults, ALLOC, 5, threads=MAIN):
            before = {one["id"] for one in server.client.client_list()}
            server.client.client_kill_filter(_type="normal", skipme=True)
            server.client.client_kill_filter(_type="pubsub", skipme=True)

            def are_both_there(before=before):
                new = [one["cmd"] for one in server.client.client_list() if one["id"] not in before and one["name"] == "curfew"]
                return len(new) == 2 and "evalsha" in new

            poll(are_both_there, "both connections to be made anew", 2 * SOON)
            assert host.ask("GET", "/ok").status == 200
    finally:
        host.process.kill()
        api.process.kill()
        host.process.must_be_clean()
