"""What a curfew costs that has nothing to do: how soon it is ready, how often it wakes up, what it keeps in memory."""

import time

import pytest

from harness.bounds import Stopwatch
from harness.h2_caller import H2Caller

MIB = 1 << 20
READY_S = 0.020
RESIDENT = 8 * MIB
AUTHORITIES = 4 * MIB  # what OpenSSL makes of the system's bundle, some 140 certificates
WAKE_UPS = 2  # a second: the worker's, which looks after its calls and says what it has counted, and the main thread's, which hears that
LOOKS = 1  # a second, beside that, of who watches files: it looks twice, once of them when it is awake anyway
STARTS = 8


@pytest.mark.sound_only
@pytest.mark.timed
def test_it_is_ready_within_20_ms(curfew):
    """The soonest of some starts: what else runs makes one late, and none early."""
    soonest = READY_S * 100
    for _ in range(STARTS):
        watch = Stopwatch()
        proxy = curfew(url="http://127.0.0.1:1", top={"workers": 1})
        soonest = min(soonest, watch.elapsed())
        proxy.finish()
        if soonest <= READY_S:
            break
    assert soonest <= READY_S, f"ready after {soonest * 1000:.1f} ms at best"


@pytest.mark.sound_only
@pytest.mark.parametrize("scheme, upstreams, most", [("http", 1, RESIDENT), ("https", 1, RESIDENT + AUTHORITIES), ("https", 10, RESIDENT + AUTHORITIES)])
def test_it_takes_8_mib_with_one_worker(curfew, scheme, upstreams, most):
    proxy = curfew(upstreams={f"api{i}": {"listen": "127.0.0.1:0", "url": f"{scheme}://localhost:1"} for i in range(upstreams)}, top={"workers": 1})
    assert proxy.process.rss_bytes() <= most, f"{proxy.process.rss_bytes() / MIB:.1f} MiB"


@pytest.mark.sound_only
@pytest.mark.timed
def test_idle_ones_hardly_wake_up(curfew, faulty):
    """One that has seen nothing, one with connections that are kept on both sides, over HTTP/1.1 and HTTP/2, and one that watches its files."""
    one = {"workers": 1}
    kept = curfew(upstreams={name: {"listen": "127.0.0.1:0", "url": faulty(*options).url, "http2": {"use": use}}
                             for name, options, use in [("h1", [], "never"), ("h2", ["--http2"], "always")]}, top=one)
    callers = [kept.caller("h1"), H2Caller(kept.address("h2"))]
    callers[0].request("GET", "/status/200")
    assert callers[0].recv_response().status == 200
    assert callers[1].ask2(path="/status/200").status == 200
    kept.log(2)
    new = curfew(url="http://127.0.0.1:1", top=one)
    watching = curfew(url="http://127.0.0.1:1", top={**one, "watch": True})

    before, watch = [proxy.process.switches() for proxy in (new, kept, watching)], Stopwatch()
    while watch.elapsed() < 3:
        time.sleep(0.1)  # nothing is to happen: there is no condition to wait for
    woken, seconds = [proxy.process.switches() - was for proxy, was in zip((new, kept, watching), before)], watch.elapsed() + 1
    assert woken[0] <= WAKE_UPS * seconds and woken[1] <= WAKE_UPS * seconds and woken[2] <= (WAKE_UPS + LOOKS) * seconds, woken
    kept.wait_metric("curfew_connections", 2, side="upstream_idle")
    for caller in callers:
        caller.close()
