"""conf/prometheus: that each alert fires when it should, and not when it should not, and that nothing is named wrongly."""

import re
import shutil
from pathlib import Path

import pytest

from harness.alerts import RULES, always, at, call, firing, group, histogram, own, rules, run_groups, steadily
from harness.bounds import SLOW
from harness.process import run

TREE = Path(__file__).resolve().parents[2]
API = {"upstream": "api"}
POOL = {"pool": "api"}
USED, QUEUED = "curfew_deadline_used_ratio", "curfew_queue_wait_seconds"

pytestmark = [pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (package prometheus) is not installed"),
              pytest.mark.sound_only]

SLOW_CALLS = histogram(USED, {"0.3": 80, "0.8": 0, "0.9": 20, "0.95": 0, "1": 0, "+Inf": 0})
SLOWEST_CALLS = histogram(USED, {"0.3": 80, "0.8": 0, "0.9": 0, "0.95": 20, "1": 0, "+Inf": 0})
LONG_QUEUE = histogram(QUEUED, {"1": 100, "+Inf": 0}, 15)
LATE = "curfew_deadline_overshoot_seconds"

# Name: what is different, and then at which minutes which alerts fire.
SCENARIOS = {
    "all is well": ({}, firing(20)),

    "one in eleven gets stuck": ({call("stuck", phase="wait"): steadily(10)}, firing(1), firing(
        20, ("CurfewCallsStuck", {**API, "phase": "wait"}))),
    "one in twenty-six gets stuck": ({call("stuck", phase="wait"): steadily(4)}, firing(20)),
    "two phases, each for itself": ({call("stuck", phase="wait"): steadily(4), call("stuck", phase="queue"): steadily(4)},
                                    firing(20)),
    "most get stuck": ({call("stuck", phase="wait"): steadily(60), call("stuck", phase="connect"): steadily(60)}, firing(
        20, ("CurfewCallsStuck", {**API, "phase": "wait"}), ("CurfewCallsStuck", {**API, "phase": "connect"}),
        ("CurfewMostCallsStuck", API))),
    "all get stuck": ({call("stuck", phase="wait"): steadily(60), call("completed", **{"class": "2xx"}): always(0)}, firing(
        20, ("CurfewCallsStuck", {**API, "phase": "wait"}), ("CurfewMostCallsStuck", API))),
    "it is over": ({call("stuck", phase="wait"): "0+10x40 400x120"}, firing(15, ("CurfewCallsStuck", {**API, "phase": "wait"})),
                   firing(30)),
    "no calls": ({call("completed", **{"class": "2xx"}): always(0), **histogram(USED, {"1": 0, "+Inf": 0}),
                  **histogram(QUEUED, {"1": 0, "+Inf": 0}), **histogram("curfew_call_duration_seconds", {"1": 0, "+Inf": 0})},
                 firing(20)),

    "a full pool with a queue": ({own("curfew_pool_held", **POOL): always(50), own("curfew_pool_waiting", **POOL): always(3)},
                                 firing(1), firing(20, ("CurfewPoolExhausted", POOL))),
    "a full pool without a queue": ({own("curfew_pool_held", **POOL): always(50)}, firing(20)),
    "a permit on its way to a waiter": ({own("curfew_pool_held", **POOL): always(49),
                                         own("curfew_pool_waiting", **POOL): always(3)}, firing(20)),
    "a pool that is full now and then": ({own("curfew_pool_held", **POOL): always(50),
                                          own("curfew_pool_waiting", **POOL): "3 3 0 " * 100}, firing(20)),

    "calls find the queue full": ({call("rejected", reason="queue_full"): steadily(2)}, firing(
        20, ("CurfewCallsRejected", {**API, "reason": "queue_full"}))),
    "one in two hundred finds the queue full": ({call("rejected", reason="queue_full"): steadily(0.5)}, firing(20)),
    "a shutdown": ({call("rejected", reason="draining"): steadily(50)}, firing(20)),

    "slow calls that wait": ({**SLOW_CALLS, **LONG_QUEUE}, firing(4), firing(20, ("CurfewQueueWaitNearDeadline", API))),
    "slow calls that do not wait": (SLOW_CALLS, firing(20)),
    "quick calls that wait": (LONG_QUEUE, firing(20)),
    "calls near their deadline": (SLOWEST_CALLS, firing(9), firing(20, ("CurfewCallsNearDeadline", API))),

    "an API that refuses": ({call("failed", reason="connection_refused"): steadily(10)}, firing(
        20, ("CurfewCallsFail", API))),
    "an API that refuses a little": ({call("failed", reason="connection_refused"): steadily(4)}, firing(20)),
    "callers that leave": ({call("abandoned", phase="wait"): steadily(20)}, firing(9), firing(
        20, ("CurfewCallersLeave", API))),
    "some callers that leave": ({call("abandoned", phase="wait"): steadily(10)}, firing(20)),
    "cuts that are late": (histogram(LATE, {"0.001": 90, "0.05": 0, "0.1": 10, "+Inf": 0}), firing(4), firing(
        20, ("CurfewCutsLate", API))),
    "cuts in time": (histogram(LATE, {"0.001": 90, "0.05": 10, "0.1": 0, "+Inf": 0}), firing(20)),

    "overdue": ({own("curfew_calls_overdue", **API): at(10, 0, 1)}, firing(10), firing(12, ("CurfewCallsOverdue", API))),
    "overdue for an instant": ({own("curfew_calls_overdue", **API): at(10, 0, 1, steps=2)}, firing(10), firing(12)),
    "an audit that finds something": ({own("curfew_pool_audit_errors_total", **POOL): at(10, 0, 1)}, firing(9),
                                      firing(12, ("CurfewPoolAuditErrors", POOL)), firing(30)),
    "a broken invariant": ({own("curfew_broken_invariants_total"): at(10, 0, 1)}, firing(9),
                           firing(12, ("CurfewBrokenInvariants", {})), firing(30)),
    "down": ({own("up"): at(10, 1, 0)}, firing(10), firing(12, ("CurfewDown", {}))),
    "another job is down": ({'up{job="other",instance="one"}': always(0)}, firing(20)),
    "three restarts": ({own("process_start_time_seconds"): "1x39 2x39 3x19 4x100"}, firing(45),
                       firing(55, ("CurfewRestarts", {}))),
    "two restarts": ({own("process_start_time_seconds"): "1x39 2x39 3x100"}, firing(55)),
    "three restarts of something else": ({own("process_start_time_seconds"): "1x39 2x39 3x19 4x100",
                                          own("curfew_build_info", version="1"): None}, firing(55)),
    "a reload that fails": ({own("curfew_config_reloads_total", result="failure"): at(10, 0, 1)}, firing(9),
                            firing(12, ("CurfewReloadFailed", {})), firing(30)),
    "a reload": ({own("curfew_config_reloads_total", result="success"): at(10, 0, 1)}, firing(12)),
    "log lines dropped": ({own("curfew_log_lines_dropped_total"): at(10, 0, 7)}, firing(9),
                          firing(12, ("CurfewLogLinesDropped", {}))),
    "few descriptors left": ({own("process_open_fds"): always(900)}, firing(1), firing(20, ("CurfewDescriptorsLow", {}))),
    "descriptors enough": ({own("process_open_fds"): always(700)}, firing(20)),
}


def test_each_alert_fires_when_it_should_and_only_then(tmp_path):
    wrong = run_groups(tmp_path, [group(*scenario) for scenario in SCENARIOS.values()])
    assert wrong == ""
    fired = set(re.findall(r'alertname="(\w+)"', str([checks for _, *checks in SCENARIOS.values()])))
    assert fired == {rule["alert"] for rule in rules() if "alert" in rule}


def test_a_scenario_can_fail(tmp_path):
    changes, *_ = SCENARIOS["one in eleven gets stuck"]
    assert "FAILED" in run_groups(tmp_path, [group(changes, firing(20))])
    assert "FAILED" in run_groups(tmp_path, [group({}, firing(20, ("CurfewCallsStuck", {**API, "phase": "wait"})))])


def test_an_alert_says_where_it_is_stuck_and_what_to_read(tmp_path):
    expected = {"exp_labels": {"severity": "warning", "job": "curfew", "instance": "one", "upstream": "api", "phase": "wait"},
                "exp_annotations": {
                    "summary": "api: calls get stuck in wait",
                    "description": "9.091% of the calls that ended in the last 5 minutes at one were cut at their deadline, "
                                   "or at a limit, in phase wait.",
                    "runbook_url": "/usr/share/doc/curfew/docs/stuck.md#wait"}}
    assert run_groups(tmp_path, [group({call("stuck", phase="wait"): steadily(10)}, alerts=[
        {"eval_time": "20m", "alertname": "CurfewCallsStuck", "exp_alerts": [expected]}])]) == ""


def test_every_alert_is_described():
    severities = {"critical", "warning", "info"}
    for rule in rules():
        if "alert" in rule:
            assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, rule["alert"]
            assert rule["labels"]["severity"] in severities


def test_promtool_takes_configuration_and_rules():
    done = run(["promtool", "check", "config", RULES / "prometheus.yml"])
    assert done.returncode == 0 and "2 rule files found" in done.stdout, done.stderr
    done = run(["promtool", "check", "rules", "--lint=all", "--lint-fatal", RULES / "recording.yml", RULES / "alerts.yml"])
    assert done.returncode == 0, done.stdout + done.stderr
