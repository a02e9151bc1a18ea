"""Without memory, where a fleet's store is spoken to: as test_oom.py, each allocation fails once."""

import contextlib
import http.client
import signal

import pytest

from harness.bounds import SOON, poll
from harness.curfew import Curfew, Faulty, write_config
from harness.faults import ALL_THREADS, ALLOC, MAIN, each_fault
from harness.process import BINARY, Process, run
from harness.stores import RedisServer
from harness.wire import Cut


@pytest.fixture
def server(tmp_path):
    store = RedisServer(tmp_path / "store")
    yield store
    store.process.kill()


def fleet_of(server, **more):
    return {"store": server.url, "name": "prod", "hosts": 2, **more}


def write(tmp_path, server, url, **more):
    path = tmp_path / "curfew.yaml"
    write_config(path, {"api": {"url": url, "deadline": "1s", "pool": {"size": 5, "fleet": True}}},
                 {"workers": 1, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": "off"}, "fleet": fleet_of(server, **more)})
    return path


@pytest.fixture
def host(tmp_path, server, faults):
    """A host of a fleet, to which the store lends, before an API: (host, API)."""
    api = Faulty()
    one = Curfew(tmp_path, write(tmp_path, server, api.url), env=faults.env)
    try:
        poll(lambda: server.client.hlen("curfew:{prod/api}:entries") == 1, "the host to be in the book")
        server.client.hset("curfew:{prod/api}:book", mapping={"unknown_until": 0, "minted": 0})
        poll(lambda: one.ask("GET", "/ok").status == 200, "calls to be taken")
        yield one, api
    finally:
        one.process.kill()
        api.process.kill()
        one.process.must_be_clean()


def burst(host):
    """More calls at once than the host was lent permits for; what came of each, 0 for one that was cut."""
    callers = [host.caller() for _ in range(7)]
    ends = []
    for caller in callers:
        with contextlib.suppress(OSError, Cut):
            caller.request("GET", "/delay/20")
    for caller in callers:
        try:
            ends.append(caller.recv_response().status)
        except (OSError, Cut):
            ends.append(0)
        caller.close()
    return ends


def test_calls_that_need_more_than_was_lent_without_memory(host, faults):
    """In the workers as in the agent, which asks the store for more."""
    one, api = host
    met = set()
    for nth in each_fault(faults, ALLOC, threads=ALL_THREADS):
        ends = burst(one)
        assert set(ends) <= {0, 200, 500, 503}, f"fault {nth}: {ends}"
        met.update(ends)
        faults.disarm()
        assert one.process.is_running(), f"fault {nth}: {one.process.stderr.text()}"
        poll(lambda: burst(one) == [200] * 7, "the next calls to be as ever")
    assert 200 in met
    assert api.stats()["in_work_max"] == 5
    one.wait_idle()


def test_a_reload_that_brings_a_fleet_or_takes_it_away_without_memory(host, faults, server, tmp_path):
    one, api = host
    ends = set()
    for nth in each_fault(faults, ALLOC, 7, threads=MAIN):
        for keys, top in (({"size": 5}, {}), ({"size": 5, "fleet": f"again{nth}"}, {"fleet": fleet_of(server, fallback="open", margin="5s")})):
            one.rewrite({"api": {"url": api.url, "deadline": "1s", "pool": keys}}, log={"access": "off"}, **top)
            with contextlib.suppress(OSError, http.client.HTTPException):
                ends.add(one.reload()[0])
            assert one.process.is_running(), f"fault {nth}: {one.process.stderr.text()}"
        faults.disarm()
        one.must_reload()
        one.rewrite({"api": {"url": api.url, "deadline": "1s", "pool": {"size": 5}}}, log={"access": "off"})
        one.must_reload()
        assert one.ask("GET", "/ok").status == 200
    assert 200 in ends and len(ends) > 1


@pytest.mark.parametrize("target", ["/metrics", "/pools", "/history", "/config"])
def test_what_is_said_of_a_fleet_without_memory(host, faults, target):
    one, _ = host
    for _ in each_fault(faults, ALLOC, threads=MAIN):
        with contextlib.suppress(OSError, http.client.HTTPException):
            assert one.admin_get(target)[0] in (200, 500, 503)
        faults.disarm()
        assert one.admin_get(target)[0] == 200 and one.ask("GET", "/ok").status == 200


def test_a_start_and_an_end_in_a_fleet_without_memory(tmp_path, server, faults):
    config = write(tmp_path, server, "http://127.0.0.1:9")
    ends = set()
    for nth in each_fault(faults, ALLOC, 29, threads=ALL_THREADS):
        process = Process([BINARY, "serve", "-c", config], env=faults.env)
        try:
            if process.stderr.wait(lambda lines: any(line.endswith("fleet: the store is reached") for line in lines), 2 * SOON):
                process.signal(signal.SIGTERM)
            status, text = process.wait_exit(2 * SOON), process.stderr.text()
        finally:
            process.kill()
        if "CHECK failed: sanitizer_" in text:
            continue
        assert status in (0, 1) and text, f"fault {nth}: status {status}\n{text}"
        ends.add(status)
    assert ends == {0, 1}


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


def test_a_connection_to_the_store_is_made_in_the_end(host, server, faults):
    """Each time it is cut, and one allocation of what follows fails."""
    for _ in each_fault(faults, ALLOC, 5, threads=MAIN):
        before = {one["id"] for one in server.client.client_list()}
        server.client.client_kill_filter(_type="normal", skipme=True)
        server.client.client_kill_filter(_type="pubsub", skipme=True)

        def are_both_there(before=before):
            new = [one["cmd"] for one in server.client.client_list() if one["id"] not in before and one["name"] == "curfew"]
            return len(new) == 2 and "evalsha" in new

        poll(are_both_there, "both connections to be made anew", 2 * SOON)
        assert host[0].ask("GET", "/ok").status == 200
