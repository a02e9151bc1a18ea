"""The step of a fleet's rate and pause, on a real redis-server, beside the same step in C: same answers, same hints."""

import random
import subprocess
from pathlib import Path

import pytest

from harness.fleet import Store
from harness.programs import tool

SCRIPT = Path(__file__).resolve().parents[2] / "src/proxy/fleet_turn.lua"
BEGIN_US = 1_700_000_000_000_000
WORDS = ("period", "burst", "wanted", "patience", "back", "taken", "spent", "adrift", "pause", "word", "round", "deadline",
         "life")


class Script:
    """The script has its time and the server's run id as arguments."""

    def __init__(self, client):
        self.client = client
        self.hints = client.pubsub()
        self.hints.subscribe("hint:")
        self.hints.get_message(timeout=5)
        text = SCRIPT.read_text()
        for of, by in (("local function now_us()\n  local time = redis.call(\"TIME\")\n"
                        "  return tonumber(time[1]) * 1000000 + tonumber(time[2])\nend",
                        "local function now_us() return tonumber(ARGV[16]) end"),
                       ("return string.match(redis.call(\"INFO\", \"server\"), \"run_id:(%w+)\")", "return ARGV[17]")):
            assert text.count(of) == 1
            text = text.replace(of, by)
        self.script = client.register_script(text)
        self.told = 0

    def step(self, time, run, host, r):
        reply = self.script(["curfew:{test}:turn", "curfew:{test}:turns"],
                            ["%03d" % host, *(r[word] for word in WORDS), "hint:", time, f"run{run}"])
        self.hints.ping()
        while self.hints.get_message(timeout=5)["type"] != "pong":
            self.told += 1
        assert int(reply[0]) == time
        return [*map(int, reply[1:]), self.told]


class Step:
    def __init__(self):
        self.process = subprocess.Popen([tool("turns")], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def step(self, time, run, host, r):
        print(time, run, host, *(r[word] for word in WORDS), file=self.process.stdin, flush=True)
        return list(map(int, self.process.stdout.readline().split()))

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    yield store
    store.stop()


def draw(dice, time, round, rate):
    """What hosts could say, well or badly."""
    period, burst, life = rate
    if period and dice.random() < 0.03:
        period, burst = dice.choice(((2 * period, burst), (max(1, period // 2), burst), (period, burst + 3), (period, 1)))
    return {
        "period": period, "burst": burst, "wanted": dice.choice((0, 1, 1, 1, 3, 40)),
        "patience": dice.choice((0, 3_000, 200_000, 2_000_000)), "back": dice.choice((0,) * 6 + (1, 5)),
        "taken": time - dice.choice((-5, 1_000, 500_000, 3_000_000)), "spent": dice.choice((0,) * 9 + (2,)),
        "adrift": int(dice.random() < 0.02), "pause": dice.choice((0,) * 19 + (2_000_000,)) * (dice.random() < 0.5),
        "word": dice.choice((0, 0, 1, 1, 2, 3)), "round": round - (dice.random() < 0.1), "deadline": 2_000_000, "life": life,
    }


@pytest.mark.parametrize("seed,hosts,rate", [(1, 5, (10_000, 20, 20_000_000)), (2, 20, (10_000, 1, 3_000_000)),
                                             (3, 20, (1_000, 50, 20_000_000)), (4, 3, (3_600_000_000, 2, 20_000_000)),
                                             (5, 10, (0, 1, 20_000_000)), (6, 40, (7, 1_000_000, 20_000_000))])
def test_script_answers_as_the_step_that_was_simulated(store, seed, hosts, rate):
    store.client.flushall()
    script, step, dice = Script(store.client), Step(), random.Random(seed)
    time, run, round, seen = BEGIN_US, 1, 0, set()
    for at in range(1500):
        time += int(dice.choice((100, 1_000, 3_000, 20_000, 100_000)) * (1 + dice.random()))
        if dice.random() < 0.01:
            time += dice.choice((5_000_000, 20_000_000, -2_000_000, -40_000_000))
        run += dice.random() < 0.003
        host, r = dice.randrange(hosts), draw(dice, time, round, rate)
        r["round"] = max(0, r["round"])
        ours, theirs = script.step(time, run, host, r), step.step(time, run, host, r)
        assert ours == theirs, (at, host, r)
        round = ours[5]
        seen.add((ours[0] > 0, ours[7]))
    step.stop()
    assert {state for _, state in seen} == {0, 1, 2} and (rate[0] == 0) != any(lent for lent, _ in seen)
    for key in store.client.keys("*"):
        assert store.client.pttl(key) > 0, key


def test_what_somebody_else_has_put_there_is_as_good_as_nothing(store):
    store.client.flushall()
    script, r = Script(store.client), draw(random.Random(1), BEGIN_US, 0, (10_000, 20, 20_000_000))
    fresh = script.step(BEGIN_US, 1, 0, r)
    for key, other in (("turn", "turns"), ("turns", "turn")):
        store.client.set(f"curfew:{{test}}:{key}", "x")
        store.client.delete(f"curfew:{{test}}:{other}")
        assert script.step(BEGIN_US, 1, 0, r) == fresh
