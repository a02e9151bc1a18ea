"""conf/prometheus: that each alert fires when it should, and not when it should not, and that nothing is named wrongly."""

import json
import math
import re
import shutil
import threading
from pathlib import Path

import pytest

from harness.alerts import RULES, always, at, call, firing, group, histogram, own, response, rules, run_groups, steadily
from harness.bounds import SOON, poll
from harness.fleet import Store
from harness.metrics import Metrics
from harness.process import run
from harness.programs import Prometheus

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
    "all is well": ({}, firing(8)),

    "one in eleven gets stuck": ({call("stuck", phase="wait"): steadily(10)}, firing(1), firing(8, ("CurfewCallsStuck", {**API, "phase": "wait"}))),
    "one in twenty-six gets stuck": ({call("stuck", phase="wait"): steadily(4)}, firing(8)),
    "two phases, each for itself": ({call("stuck", phase="wait"): steadily(4), call("stuck", phase="queue"): steadily(4)},
                                    firing(8)),
    "most get stuck": ({call("stuck", phase="wait"): steadily(60), call("stuck", phase="connect"): steadily(60)}, firing(8, ("CurfewCallsStuck", {**API, "phase": "wait"}), ("CurfewCallsStuck", {**API, "phase": "connect"}),
        ("CurfewMostCallsStuck", API))),
    "all get stuck": ({call("stuck", phase="wait"): steadily(60), call("completed", **{"class": "2xx"}): always(0)}, firing(8, ("CurfewCallsStuck", {**API, "phase": "wait"}), ("CurfewMostCallsStuck", API))),
    "it is over": ({call("stuck", phase="wait"): "0+10x40 400x120"}, firing(15, ("CurfewCallsStuck", {**API, "phase": "wait"})),
                   firing(30)),
    "no calls": ({call("completed", **{"class": "2xx"}): always(0), **histogram(USED, {"1": 0, "+Inf": 0}),
                  **histogram(QUEUED, {"1": 0, "+Inf": 0}), **histogram("curfew_call_duration_seconds", {"1": 0, "+Inf": 0})},
                 firing(8)),

    "a full pool with a queue": ({own("curfew_pool_held", **POOL): always(50), own("curfew_pool_waiting", **POOL): always(3)},
                                 firing(1), firing(8, ("CurfewPoolExhausted", POOL))),
    "a full pool without a queue": ({own("curfew_pool_held", **POOL): always(50)}, firing(8)),
    "a permit on its way to a waiter": ({own("curfew_pool_held", **POOL): always(49),
                                         own("curfew_pool_waiting", **POOL): always(3)}, firing(8)),
    "a pool that is full now and then": ({own("curfew_pool_held", **POOL): always(50),
                                          own("curfew_pool_waiting", **POOL): "3 3 0 " * 100}, firing(8)),

    "calls find the queue full": ({call("rejected", reason="queue_full"): steadily(2)}, firing(8, ("CurfewCallsRejected", {**API, "reason": "queue_full"}))),
    "the pool's rate has no slot for calls": ({call("rejected", reason="rate"): steadily(2)}, firing(8, ("CurfewCallsRejected", {**API, "reason": "rate"}))),
    "one in two hundred finds the queue full": ({call("rejected", reason="queue_full"): steadily(0.5)}, firing(8)),
    "a breaker that is open": ({own("curfew_breaker_state", upstream="api", route="default", state="closed"): always(0),
                                call("rejected", reason="breaker_open"): steadily(50)}, firing(1), firing(8, ("CurfewBreakerOpen", API))),
    "a breaker that was open for a moment": ({own("curfew_breaker_state", upstream="api", route="default", state="closed"): "1x20 0x1 1x200"},
                                             firing(5), firing(8)),
    "more failures than retries may add": ({own("curfew_retries_stopped_total", **API, reason="budget"): steadily(2)},
                                           firing(1), firing(8, ("CurfewRetriesStopped", {**API, "reason": "budget"}))),
    "failures that may not be tried again": ({own("curfew_retries_stopped_total", **API, reason="unsafe"): steadily(20),
                                              own("curfew_retries_stopped_total", **API, reason="attempts"): steadily(20)}, firing(8)),
    "a budget that was empty for a moment": ({own("curfew_retries_stopped_total", **API, reason="budget"): "0x20 2x200"}, firing(12)),
    "a name that no longer resolves": ({own("curfew_dns_answers_total", **API, result="stale"): steadily(1)},
                                       firing(4), firing(8, ("CurfewDnsStale", API))),
    "a name that did not resolve once": ({own("curfew_dns_answers_total", **API, result="stale"): "0x20 1x200"}, firing(13), firing(20)),
    "a shutdown": ({call("rejected", reason="draining"): steadily(50)}, firing(8)),

    "a fleet's store that is away": ({own("curfew_fleet_connected"): always(0)}, firing(0), firing(8, ("CurfewFleetStoreAway", {}))),
    "a fleet's store that is back": ({own("curfew_fleet_connected"): at(3, 1, 0, steps=2)}, firing(3), firing(8)),
    "a lease that is not renewed": ({own("curfew_fleet_lease_seconds", **POOL): "9.5x9 7.5 4.5 1.5 0x100"}, firing(5), firing(6, ("CurfewFleetLeaseRunsOut", POOL)), firing(8)),
    "a pool that has left the fleet": ({own("curfew_fleet_lease_seconds", **POOL): always(0)}, firing(8)),
    "a fallback": ({own("curfew_fleet_fallback_seconds_total", **POOL): "0x20 0+30x6 180x200"}, firing(9), firing(12, ("CurfewFleetFallback", POOL)), firing(25)),
    "a store that was wiped": ({own("process_start_time_seconds"): always(0), own("curfew_fleet_epochs_total", **POOL): at(25, 1, 2)}, firing(24), firing(27, ("CurfewFleetLearnsAnew", POOL)), firing(40)),
    "a host that was just started": ({own("process_start_time_seconds"): always(1200), own("curfew_fleet_epochs_total", **POOL): at(21, 0, 1)},
                                     firing(22), firing(45)),
    "a smaller size that is rolled out": ({own("curfew_fleet_over_granted", **POOL): at(3, 0, 7, steps=6)}, firing(5), firing(12)),
    "hosts that disagree on the size": ({own("curfew_fleet_over_granted", **POOL): always(7)}, firing(4), firing(8, ("CurfewFleetOverGranted", POOL))),
    "a fleet whose permits are short": ({own("curfew_fleet_mode", **POOL, mode="calm"): always(0), own("curfew_fleet_mode", **POOL, mode="tight"): always(1)},
                                        firing(14), firing(16, ("CurfewFleetTight", POOL))),

    "slow calls that wait": ({**SLOW_CALLS, **LONG_QUEUE}, firing(4), firing(8, ("CurfewQueueWaitNearDeadline", API))),
    "slow calls that do not wait": (SLOW_CALLS, firing(8)),
    "quick calls that wait": (LONG_QUEUE, firing(8)),
    "calls that are cut have used all of their budget": (
        {call("stuck", phase="wait"): steadily(20),
         **histogram(USED, {"0.3": 100, "0.8": 0, "0.9": 0, "0.95": 0, "1": 0, "+Inf": 20})},
        firing(20, ("CurfewCallsStuck", {**API, "phase": "wait"}))),
    "calls near their deadline": (SLOWEST_CALLS, firing(9), firing(20, ("CurfewCallsNearDeadline", API))),

    "an API that refuses": ({call("failed", reason="connection_refused"): steadily(10)}, firing(8, ("CurfewCallsFail", API))),
    "an API that refuses a little": ({call("failed", reason="connection_refused"): steadily(4)}, firing(8)),
    "an API that answers 500 to everything": ({response("200"): None, response("500"): steadily(100)}, firing(1), firing(8, ("CurfewApiAnswers5xx", API))),
    "an API with errors of many kinds": ({response(code): steadily(2) for code in ("500", "503", "599", "other")}, firing(8, ("CurfewApiAnswers5xx", API))),
    "an API with errors now and then": ({response("500"): steadily(5), response("429"): steadily(5)}, firing(8)),
    "an API that is called too often": ({response("429"): steadily(10)}, firing(1), firing(8, ("CurfewApiAnswers429", API))),
    "an API that says first that it goes on": ({response("100"): steadily(1000), response("500"): steadily(10)}, firing(8, ("CurfewApiAnswers5xx", API))),
    "an API that says no": ({response("404"): steadily(1000), response("400"): steadily(1000)}, firing(8)),
    "an API that is well again": ({response("500"): "0+10x40 400x120"}, firing(15, ("CurfewApiAnswers5xx", API)), firing(30)),
    "callers that leave": ({call("abandoned", phase="wait"): steadily(20)}, firing(9), firing(
        20, ("CurfewCallersLeave", API))),
    "some callers that leave": ({call("abandoned", phase="wait"): steadily(10)}, firing(20)),
    "cuts that are late": (histogram(LATE, {"0.001": 90, "0.05": 0, "0.1": 10, "+Inf": 0}), firing(4), firing(8, ("CurfewCutsLate", API))),
    "cuts in time": (histogram(LATE, {"0.001": 90, "0.05": 10, "0.1": 0, "+Inf": 0}), firing(8)),

    "overdue": ({own("curfew_calls_overdue", **API): at(10, 0, 1)}, firing(10), firing(12, ("CurfewCallsOverdue", API))),
    "overdue for an instant": ({own("curfew_calls_overdue", **API): at(10, 0, 1, steps=2)}, firing(10), firing(12)),
    "an audit that finds something": ({own("curfew_pool_audit_errors_total", **POOL): at(10, 0, 1)}, firing(9),
                                      firing(12, ("CurfewPoolAuditErrors", POOL)), firing(30)),
    "a broken invariant": ({own("curfew_broken_invariants_total"): at(10, 0, 1)}, firing(9),
                           firing(12, ("CurfewBrokenInvariants", {})), firing(30)),
    "down": ({own("up"): at(10, 1, 0)}, firing(10), firing(12, ("CurfewDown", {}))),
    "another job is down": ({'up{job="other",instance="one"}': always(0)}, firing(8)),
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
    "few descriptors left": ({own("process_open_fds"): always(900)}, firing(1), firing(8, ("CurfewDescriptorsLow", {}))),
    "descriptors enough": ({own("process_open_fds"): always(700)}, firing(8)),
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


def test_an_alert_of_rejected_calls_leads_to_what_rejects_them(tmp_path):
    for reason, anchor in {"rate": "rate", "paused": "paused", "fleet_unavailable": "fleet_unavailable", "too_late": "too_late", "queue_full": "queue"}.items():
        expected = {"exp_labels": {"severity": "warning", "job": "curfew", "instance": "one", "upstream": "api", "reason": reason},
                    "exp_annotations": {
                        "summary": f"api: calls are rejected ({reason})",
                        "description": "1.961% of the calls of the last 5 minutes at one got no permit: their callers had a 503.",
                        "runbook_url": f"/usr/share/doc/curfew/docs/stuck.md#{anchor}"}}
        assert run_groups(tmp_path, [group({call("rejected", reason=reason): steadily(2)}, alerts=[
            {"eval_time": "20m", "alertname": "CurfewCallsRejected", "exp_alerts": [expected]}])]) == ""


def test_the_page_is_amber_where_the_alerts_begin():
    [amber] = re.findall(r"ERRING = ([\d.]+);", (TREE / "src/page/model.mjs").read_text())
    shares = {rule["alert"]: rule["expr"].split(" > ")[1] for rule in rules() if rule.get("alert", "").startswith("CurfewApiAnswers")}
    assert shares == {"CurfewApiAnswers5xx": amber, "CurfewApiAnswers429": amber}
    assert f"{float(amber):.0%}".replace("%", " %") in (TREE / "docs/metrics.md").read_text()


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


# ------------------------------------------------------------------------------- beside a live curfew

DASHBOARD = TREE / "conf/grafana/curfew.json"
GUIDE = TREE / "docs/stuck.md"


@pytest.fixture
def store(tmp_path):
    one = Store(tmp_path / "store")
    yield one
    one.stop()


@pytest.fixture
def busy(curfew, faulty, store):
    """A proxy with a call of each outcome, one that waits for a permit, a stream, and a fleet of its own; and more calls as long as the test runs."""
    api = faulty().url
    proxy = curfew(top={"limits": {"request_head": "1KiB"}, "fleet": {"store": store.url, "name": "prod", "fallback": "closed"}}, upstreams={
        "shared": {"url": api, "deadline": "1s", "pool": {"size": 5, "fleet": True}},
        "paced": {"url": api, "streams": {}, "pool": {"size": 2, "rate": {"limit": "1000/s", "burst": 10}, "pause": {"statuses": [429], "max": "1s"}}},
        "api": {"url": api, "deadline": "300ms", "pool": {"size": 2, "queue": 1}},
        "gone": {"url": "http://127.0.0.1:1", "breaker": {"failures": 1000000, "volume": 1000000}}})
    parked = [proxy.caller("api") for _ in range(2)]
    over = threading.Event()

    def call():
        while not over.is_set():
            for one in parked:
                one.request("GET", "/stuck")
            proxy.wait_in_flight(2, phase="wait")
            assert _while_one_waits(proxy) == 503
            for one in parked:
                assert one.recv_response().status == 504
            for status in (200, 429, 500):
                assert proxy.ask("GET", f"/status/{status}", upstream="api").status == status
            assert proxy.ask("GET", "/", upstream="gone").status == 502
            assert proxy.ask("GET", "/sse/event*2~10", upstream="paced").status == 200

    caller = threading.Thread(target=call)
    leaver = proxy.caller("paced")
    leaver.request("GET", "/stuck")
    proxy.wait_in_flight(1, phase="wait")
    leaver.close()
    proxy.wait_metric("curfew_calls_abandoned_total", 1)
    assert proxy.ask("GET", "/", "X: " + "x" * 2000, upstream="api").status == 431
    assert proxy.ask("GET", "/sse/event*2~10", upstream="paced").status == 200
    caller.start()
    yield proxy
    over.set()
    caller.join(SOON)


def _while_one_waits(proxy):
    """What one more gets when the pool and its queue are full."""
    waiter = proxy.caller("api")
    waiter.request("GET", "/ok")
    proxy.wait_in_flight(1, phase="queue")
    status = proxy.ask("GET", "/ok", upstream="api").status
    waiter.recv_response()
    waiter.close()
    return status


def expressions():
    """Every PromQL expression of the dashboard, as Grafana would send it."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    found += [one["expr"].removesuffix(" > 0") for one in dashboard["annotations"]["list"]]
    variables = [one["name"] for one in dashboard["templating"]["list"]]
    for text in found:
        for variable in variables:
            text = text.replace(f'"${variable}"', '".*"')
        text = text.replace("[$__rate_interval]", "[3s]").replace("[$__interval]", "[3s]")
        assert "$" not in text, text
        yield text


def test_every_expression_has_a_value_in_a_real_prometheus(busy, tmp_path):
    """Those of the dashboard, and what the recording rules make; and no alert says that curfew is broken."""
    prometheus = Prometheus(tmp_path, busy.admin, [RULES / "recording.yml", RULES / "alerts.yml"])
    wanted = {*expressions(), *(rule["record"] for rule in rules() if "record" in rule)}
    assert len(wanted) > 40
    try:
        def all_there():
            wanted.difference_update([one for one in wanted if any(not math.isnan(number)
                                                                   for _, number in prometheus.query(one))])
            return not wanted

        poll(all_there, lambda: f"no value: {wanted}", 4 * SOON)
        assert prometheus.query('ALERTS{severity="critical",alertname!="CurfewMostCallsStuck"}') == []
    finally:
        prometheus.stop()


def test_promtool_has_no_complaint_after_calls_of_each_outcome(busy):
    outcomes = ("completed", "stuck", "failed", "rejected", "abandoned")
    poll(lambda: all(busy.metrics().calls(outcome) for outcome in outcomes), "a call of each outcome")
    text = busy.admin_get("/metrics")[1]
    assert Metrics(text).sum("curfew_requests_refused_total") > 0
    done = run(["promtool", "check", "metrics"], stdin=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def unknown_names(text, metrics):
    """Metrics, recorded rules, and values of labels, that are nobody's."""
    known = set(metrics.samples) | set(metrics.types) | {rule.get("record") for rule in rules()}
    names = set(re.findall(r"(?<![\w/.-])(?:\w+:)?(?:curfew|process)_\w+(?:[:\w]+)?", text)) - known
    return names | {f"{label}={value}" for label, value in
                    re.findall(r'\b(phase|reason|result|mode|side|direction|class|age)!?=~?\\?"([\w-]+)', text)
                    if value not in metrics.values(label)}


def test_every_name_is_one_of_curfews(busy):
    """In the rules, in the dashboard and in the guide."""
    metrics = busy.metrics()
    for path in [*RULES.glob("*.yml"), DASHBOARD, GUIDE]:
        assert unknown_names(path.read_text(), metrics) == set(), path
    wrong = 'rate(curfew_calls_stuk_total{phase="thinking"}[5m]) + instance:curfew_calls:nothing'
    assert unknown_names(wrong, metrics) == {"curfew_calls_stuk_total", "phase=thinking", "instance:curfew_calls:nothing"}


def test_the_dashboard_is_what_grafana_imports():
    dashboard = json.loads(DASHBOARD.read_text())
    [source] = dashboard["__inputs"]
    assert (source["type"], source["pluginId"]) == ("datasource", "prometheus")
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    for panel in dashboard["panels"]:
        assert panel["title"] and panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        if panel["type"] != "row":
            assert panel["description"] and panel["targets"]
            assert panel["datasource"] == {"type": "prometheus", "uid": "${" + source["name"] + "}"}
    assert [one["name"] for one in dashboard["templating"]["list"]] == ["job", "instance", "upstream"]


def test_panels_do_not_cover_each_other():
    cells = [(x, y) for panel in json.loads(DASHBOARD.read_text())["panels"] for at in [panel["gridPos"]]
             for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
    assert len(cells) == len(set(cells))


# ------------------------------------------------------------------------------------------ the guide


def anchors():
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", GUIDE.read_text(), re.M)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_the_guide_has_a_section_for_each_phase():
    phases = re.findall(r'^PHASE\(\w+, "(\w+)"', (TREE / "include/core/phases.def").read_text(), re.M)
    assert phases and [anchor for anchor in anchors() if anchor in phases] == phases


def test_each_alert_leads_to_a_section_of_the_guide():
    phases = re.findall(r'^PHASE\(\w+, "(\w+)"', (TREE / "include/core/phases.def").read_text(), re.M)
    for rule in rules():
        if "alert" not in rule:
            continue
        path, anchor = rule["annotations"]["runbook_url"].split("#")
        assert path == "/usr/share/doc/curfew/docs/stuck.md"
        if "$labels" in anchor:
            leads = phases if anchor == "{{ $labels.phase }}" else [*re.findall(r'"(\w+)"', anchor), "queue"]
        else:
            leads = [anchor]
        assert set(leads) <= set(anchors()), rule["alert"]


def test_the_guide_names_every_alert():
    text = GUIDE.read_text()
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    assert alerts == set(re.findall(r"`(Curfew[A-Z]\w+)`", text))
