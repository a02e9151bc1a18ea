"""Several workers have alike much to do: a connection stays with the worker that took it."""

from collections import Counter

import pytest

from harness.bounds import SOON, poll
from harness.peers import ScriptedCaller, ok
from harness.programs import tool

CONNECTIONS = 1000
WITHIN = 0.10


def worker_of(call):
    """Calls are numbered by worker: bits 40 to 47 of the id (src/proxy/worker_thread.c)."""
    return int(call["id"], 16) >> 40 & 0xFF


@pytest.mark.sound_only
@pytest.mark.alone
@pytest.mark.parametrize("workers", [2, 4])
def test_a_thousand_connections_are_within_ten_percent_of_even(curfew, faulty, workers):
    """All at once, as after a deployment: the quickest does not get most of them."""
    proxy = curfew(url=faulty().url, deadline="60s", pool={"size": CONNECTIONS, "queue": 0}, top={"workers": workers})
    callers = []
    try:
        for _ in range(CONNECTIONS):
            callers.append(ScriptedCaller(proxy.address()))
            callers[-1].send(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n")
        poll(lambda: proxy.metrics().sum("curfew_calls_in_flight") == CONNECTIONS, "all calls to be there", 4 * SOON)
        by_worker = Counter(worker_of(call) for call in proxy.calls(f"limit={CONNECTIONS}")["calls"])
    finally:
        for caller in callers:
            caller.close()
    share = CONNECTIONS / workers
    assert len(by_worker) == workers
    assert all(abs(count - share) <= WITHIN * share for count in by_worker.values()), by_worker


@pytest.mark.sound_only
def test_what_a_worker_that_hangs_does_not_take_the_others_do(curfew, upstream, tmp_path):
    """However many more than its share they have by then. The hook is as in test_systemd.py."""
    hang = tmp_path / "hang"
    proxy = curfew(url=upstream(ok).url, top={"workers": 2}, env={"LD_PRELOAD": tool("hang.so"), "HANG_FILE": str(hang)})
    hang.write_text("")
    poll(lambda: (tmp_path / "hang.held").exists(), "a worker that hangs", 10)
    callers = [ScriptedCaller(proxy.address()) for _ in range(40)]
    try:
        assert [caller.ask().status for caller in callers] == [200] * len(callers)
    finally:
        for caller in callers:
            caller.close()
        hang.unlink()
