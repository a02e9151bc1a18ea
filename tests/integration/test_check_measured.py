"""What `curfew check` warns of by what a running curfew has measured."""

import json
import threading

import pytest

from harness.bounds import poll
from harness.curfew import curfew_command

QUEUE = ("pool.queue: of 400 that wait in pool api the last ones have no time left: 19 of 20 calls take up to ")
RATIO = "breaker.volume: ratio never says anything: "


def check(path, *args):
    """What it warns of, by line, column and key, without what the machine lacks."""
    done = curfew_command("check", "--descriptors", "1000000", "--memory", "64GiB", *args, "-c", path)
    assert done.returncode == 0, done.stderr
    return [line.split(": warning: ")[1].removeprefix("upstreams.api.") for line in done.stderr.splitlines()]


def ask_often(proxy, target, count, callers=8):
    def ask_all():
        caller = proxy.caller("api")
        for _ in range(count // callers):
            assert caller.ask("GET", target).status == 200

    threads = [threading.Thread(target=ask_all) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.fixture
def start(curfew, faulty, tmp_path):
    def make(**api):
        return curfew(upstreams={"api": {"url": faulty().url, **api}}, top={"admin": {"listen": f"unix:{tmp_path}/admin.sock"}})

    return make


def test_a_queue_in_which_calls_wait_for_too_long(start):
    proxy = start(deadline="500ms", pool={"size": 8, "queue": 400})
    assert check(proxy.config) == []  # nothing is known yet
    ask_often(proxy, "/delay/50", 160)
    told, = check(proxy.config)
    assert told.startswith(QUEUE) and "of a deadline of 500ms (line " in told and "there are 8 permits; " in told
    at_most = int(told.split("; ")[1].split()[0])
    assert 10 <= at_most <= 8 * 450 // 50, told
    assert check(proxy.config, "--offline") == []
    text = proxy.config.read_text()
    proxy.config.write_text(text.replace("400", str(at_most)))
    assert check(proxy.config) == []
    proxy.config.write_text(text.replace("500ms", "30s"))
    assert check(proxy.config) == []


@pytest.mark.parametrize("breaker, volume, ratio", [
    ({"window": "1s", "volume": 1000000}, "1000000", True), ({"window": "1s", "volume": 1}, "1", False),
    ({"window": "1h", "volume": 1000000}, "1000000", False)])
def test_a_breaker_whose_volume_there_never_is(start, breaker, volume, ratio):
    proxy = start(deadline="2s", breaker=breaker)
    ask_often(proxy, "/ok", 80)
    poll(lambda: all(route["for_us"] > 1_000_000 for route in json.loads(proxy.admin_get("/durations")[1])["routes"]), "a window to be over")
    told = check(proxy.config)
    assert [one.startswith(RATIO) and f"volume is {volume};" in one for one in told] == [True] * ratio


def test_who_is_asked_and_does_not_answer(start, tmp_path):
    proxy = start()
    assert check(proxy.config, "--admin", f"unix:{tmp_path}/nobody") == [
        f"what a curfew at unix:{tmp_path}/nobody has measured is not known: No such file or directory"]
    assert check(proxy.config) == []
