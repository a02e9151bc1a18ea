"""The script that a fleet's store runs, on a real redis-server, beside the same step in C: same answers, same books."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest
import redis

from harness.bounds import SLOW, poll
from harness.process import Process
from harness.programs import tool

SCRIPT = Path(__file__).resolve().parents[2] / "src/proxy/fleet_renew.lua"
SERVER = shutil.which("redis-server")
LEASE_US, MARGIN_US = 12_050_000, 5_000_000
BEGIN_US = 1_700_000_000_000_000


class Store:
    """A real store, in which the script has its time and the server's run id as arguments."""

    def __init__(self, directory):
        assert SERVER, "redis-server is not installed"
        path = directory / "redis.sock"
        self.process = Process([SERVER, "--port", "0", "--unixsocket", path, "--save", "", "--dir", directory])
        self.client = redis.Redis(unix_socket_path=str(path), decode_responses=True)
        poll(path.exists, "redis-server to listen", 10 * SLOW)
        self.hints = self.client.pubsub(ignore_subscribe_messages=True)
        self.hints.psubscribe("*")
        self.hints.get_message(timeout=5)
        text = SCRIPT.read_text()
        for of, by in (("local function now_us()\n  local time = redis.call(\"TIME\")\n"
                        "  return tonumber(time[1]) * 1000000 + tonumber(time[2])\nend",
                        "local function now_us() return tonumber(ARGV[15]) end"),
                       ("return string.match(redis.call(\"INFO\", \"server\"), \"run_id:(%w+)\")", "return ARGV[16]")):
            assert text.count(of) == 1
            text = text.replace(of, by)
        self.script = self.client.register_script(text)
        self.keys = [f"curfew:{{test}}:{name}" for name in ("book", "entries", "expiry", "waiting", "rich", "spare")]

    def renew(self, time, run, r, epoch):
        reply = self.script(self.keys, [
            "%03d" % r["host"], r["number"], epoch, r["not_after"], r["claim"], r["held"], r["want"], r["weight"],
            r["size"], r["yields"], r["adrift"], LEASE_US, MARGIN_US, "hint:", time, f"run{run}"])
        word, _, epoch = reply[0], int(reply[1]), reply[2]
        if word != "OK":
            return (word,), epoch
        return ("OK", *map(int, reply[4:]), tuple(self.hinted())), epoch

    def hinted(self):
        """The store answers in order: what it had published before comes before the answer to a ping."""
        self.hints.ping()
        hosts = []
        while True:
            message = self.hints.get_message(timeout=5, ignore_subscribe_messages=False)
            assert message is not None
            if message["type"] == "pong":
                return hosts
            if message["type"] == "pmessage":
                hosts.append(int(message["channel"].removeprefix("hint:")))

    def stop(self):
        self.client.close()
        self.process.kill()


class Ledger:
    def __init__(self):
        self.process = subprocess.Popen([tool("ledger"), str(LEASE_US), str(MARGIN_US)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def renew(self, time, run, r, epoch):
        print(time, run, r["host"], r["number"], epoch or "none", r["not_after"], r["claim"], r["held"], r["want"],
              r["weight"], r["size"], r["yields"], r["adrift"], file=self.process.stdin, flush=True)
        said, _, hints = self.process.stdout.readline().partition("|")
        word, epoch, *figures = said.split()
        if word != "OK":
            return (word,), epoch
        return ("OK", *map(int, figures), tuple(map(int, hints.split()))), epoch

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    yield store
    store.stop()


@pytest.fixture
def ledger():
    ledger = Ledger()
    yield ledger
    ledger.stop()


class Hosts:
    """What hosts could say, well or badly: mostly as the protocol has it, now and then late, old, or of another epoch."""

    def __init__(self, dice, count, size):
        self.dice, self.size = dice, size
        self.numbers = [10] * count
        self.granted = [0] * count
        self.weights = [dice.choice((1, 1, 1, 2, 5)) for _ in range(count)]

    def request(self, time):
        dice, host = self.dice, self.dice.randrange(len(self.numbers))
        self.numbers[host] += 1
        granted = self.granted[host]
        held = dice.randint(0, granted)
        want = min(self.size, held + dice.choice((0, 0, 1, 1, 2, 5, 20)))
        return {
            "host": host,
            "number": self.numbers[host] - (dice.random() < 0.03) * dice.randint(1, 3),
            "not_after": time + (2_000_000 if dice.random() < 0.97 else -1),
            "claim": max(held, min(granted, want)) if dice.random() < 0.95 else held + dice.randint(0, 3),
            "held": held,
            "want": want,
            "weight": self.weights[host],
            "size": self.size if dice.random() < 0.98 else max(1, self.size + dice.choice((-3, 5))),
            "yields": int(dice.random() < 0.15),
            "adrift": int(dice.random() < 0.01),
        }


@pytest.mark.parametrize("seed,count,size", [(1, 5, 7), (2, 20, 5), (3, 20, 50), (4, 10, 100), (5, 60, 40)])
def test_script_answers_as_the_ledger_that_was_simulated(store, ledger, seed, count, size):
    store.client.flushall()
    dice = random.Random(seed)
    hosts = Hosts(dice, count, size)
    time, run, ends = BEGIN_US, 1, {}
    epochs = {"script": [""], "ledger": [""]}
    for step in range(700):
        time += int(dice.choice((1_000, 3_000, 20_000, 100_000, 300_000)) * (1 + dice.random()))
        if dice.random() < 0.005:
            time += dice.choice((5_000_000, 20_000_000, -2_000_000))
        if dice.random() < 0.003:
            run += 1
        r = hosts.request(time)
        life = -1 if dice.random() < 0.97 else dice.randrange(len(epochs["script"]))
        answers = {}
        for name, side in (("script", store), ("ledger", ledger)):
            known = epochs[name]
            answers[name], epoch = side.renew(time, run, r, known[life])
            if epoch != known[-1]:
                known.append(epoch)
        assert answers["script"] == answers["ledger"], (step, r)
        assert len(epochs["script"]) == len(epochs["ledger"])
        word, *figures = answers["script"]
        ends[word] = ends.get(word, 0) + 1
        if word == "OK":
            hosts.granted[r["host"]] = figures[0]
    assert set(ends) == {"OK", "EPOCH", "LATE", "OLD"} and ends["OK"] > 400


def test_keys_of_a_fleet_that_is_gone_expire(store):
    store.client.flushall()
    dice = random.Random(1)
    hosts = Hosts(dice, 3, 5)
    _, epoch = store.renew(BEGIN_US, 1, hosts.request(BEGIN_US), "")
    for _ in range(20):
        store.renew(BEGIN_US, 1, hosts.request(BEGIN_US), epoch)
    for key in store.client.keys("*"):
        assert 0 < store.client.pttl(key) <= (LEASE_US + MARGIN_US) / 1000 + 1000, key


@pytest.mark.parametrize("key,lost", [("book", False), ("entries", False), ("expiry", False), ("expiry", True), ("waiting", False), ("rich", False), ("spare", False)])
def test_a_book_that_is_none_any_more_is_begun_anew(store, key, lost):
    """Somebody has written something else there, or it was evicted."""
    store.client.flushall()
    request = Hosts(random.Random(1), 1, 5).request(BEGIN_US)
    _, epoch = store.renew(BEGIN_US, 1, request, "")
    assert store.renew(BEGIN_US, 1, request, epoch)[0][0] == "OK"
    store.client.delete(f"curfew:{{test}}:{key}")
    if not lost:
        store.client.set(f"curfew:{{test}}:{key}", "x")
    answer, anew = store.renew(BEGIN_US + 1, 1, request, epoch)
    assert answer == ("EPOCH",) and anew != epoch
    assert store.renew(BEGIN_US + 2, 1, request, anew)[0][0] == "OK"
