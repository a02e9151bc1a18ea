"""What Prometheus would make of series: conf/prometheus's rules, run by promtool over scenarios."""

from pathlib import Path

import yaml

from .process import run

RULES = Path(__file__).resolve().parents[3] / "conf/prometheus"
STEP_S = 30
STEPS = 160  # 80 minutes

_JOB = 'job="curfew",instance="one"'
_API = f'{_JOB},upstream="api"'


def steadily(each):
    """A counter that grows by so much from scrape to scrape."""
    return f"0+{each}x{STEPS}"


def always(value):
    return f"{value}x{STEPS}"


def at(minute, before, after, steps=STEPS):
    """One value until then, another from then on (for so many steps, and then the first again)."""
    first = minute * 60 // STEP_S
    return f"{before}x{first - 1} {after}x{steps - 1} {before}x{STEPS}"


def call(outcome, **labels):
    """The name of a counter's series."""
    more = "".join(f',{key}="{value}"' for key, value in labels.items())
    return f'curfew_calls_{outcome}_total{{{_API},route="default"{more}}}'


def own(name, **labels):
    more = "".join(f',{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{_JOB}{more}}}"


def response(code):
    return own("curfew_responses_total", upstream="api", code=code)


def histogram(name, buckets, total=0.0):
    """Observations for each scrape: {upper bound: how many}, and their sum."""
    series, count = {}, 0
    for bound, more in buckets.items():
        count += more
        series[f'{name}_bucket{{{_API},le="{bound}"}}'] = steadily(count)
    return {**series, f"{name}_sum{{{_API}}}": steadily(total), f"{name}_count{{{_API}}}": steadily(count)}


# A hundred calls from scrape to scrape, all of them done after a quarter of their budget.
HEALTHY = {
    call("completed", **{"class": "2xx"}): steadily(100),
    **{call("stuck", phase=phase): steadily(0) for phase in ("queue", "connect", "wait", "receive")},
    call("failed", reason="connection_refused"): steadily(0),
    **{call("rejected", reason=reason): steadily(0) for reason in ("queue_full", "queue_timeout", "too_late", "rate", "paused", "fleet_unavailable", "breaker_open", "draining")},
    call("abandoned", phase="wait"): steadily(0),
    response("200"): steadily(100),
    own("curfew_breaker_state", upstream="api", route="default", state="closed"): always(1),
    **{own("curfew_retries_stopped_total", upstream="api", reason=reason): steadily(0) for reason in ("budget", "attempts", "unsafe")},
    own("curfew_dns_answers_total", upstream="api", result="fresh"): steadily(1),
    own("curfew_dns_answers_total", upstream="api", result="stale"): steadily(0),
    own("curfew_calls_overdue", upstream="api"): always(0),
    own("curfew_pool_size", pool="api"): always(50), own("curfew_pool_limit", pool="api"): always(50),
    own("curfew_pool_held", pool="api"): always(10),
    own("curfew_pool_waiting", pool="api"): always(0),
    own("curfew_pool_audit_errors_total", pool="api"): always(0),
    own("curfew_fleet_connected"): always(1), own("curfew_fleet_ride_out_seconds"): always(10),
    own("curfew_fleet_lease_seconds", pool="api"): always(9.5), own("curfew_fleet_over_granted", pool="api"): always(0),
    own("curfew_fleet_fallback_seconds_total", pool="api"): always(0), own("curfew_fleet_epochs_total", pool="api"): always(1),
    **{own("curfew_fleet_mode", pool="api", mode=mode): always(int(mode == "calm")) for mode in ("calm", "tight", "learning", "fallback")},
    own("curfew_broken_invariants_total"): always(0),
    own("curfew_log_lines_dropped_total"): always(0),
    own("curfew_config_reloads_total", result="success"): always(1),
    own("curfew_config_reloads_total", result="failure"): always(0),
    own("curfew_build_info", version="1"): always(1),
    own("process_start_time_seconds"): always(1000),
    own("process_open_fds"): always(100),
    own("process_max_fds"): always(1000),
    own("up"): always(1),
    **histogram("curfew_deadline_used_ratio", {"0.3": 100, "0.8": 0, "0.9": 0, "0.95": 0, "1": 0, "+Inf": 0}),
    **histogram("curfew_queue_wait_seconds", {"1": 100, "+Inf": 0}, 0.1),
    **histogram("curfew_call_duration_seconds", {"1": 100, "+Inf": 0}, 25),
    **histogram("curfew_deadline_overshoot_seconds", {"0.001": 0, "0.05": 0, "0.1": 0, "+Inf": 0}),
}


def _group(series, checks, alerts=()):
    return {"interval": f"{STEP_S}s", "input_series": [{"series": k, "values": v} for k, v in series.items()],
            "promql_expr_test": checks, "alert_rule_test": list(alerts)}


def firing(minute, *alerts):
    """At this minute these alerts fire, each (name, labels), and no other."""
    expr = 'sum by (alertname, phase, reason, pool, upstream) (ALERTS{alertstate="firing"})'
    samples = [{"labels": "{%s}" % ",".join(f'{key}="{value}"' for key, value in
                                            sorted({"alertname": name, **labels}.items())), "value": 1}
               for name, labels in alerts]
    return {"expr": expr, "eval_time": f"{minute}m", "exp_samples": samples}


def group(changes, *checks, alerts=(), healthy=True):
    """A test: the healthy series with these changes (None takes a series away)."""
    series = {**(HEALTHY if healthy else {}), **changes}
    return _group({key: value for key, value in series.items() if value is not None}, list(checks), alerts)


def run_groups(directory, groups):
    """What promtool has to say: "" if all is as expected."""
    path = directory / "rules_test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES / "recording.yml"), str(RULES / "alerts.yml")],
                                    "evaluation_interval": f"{STEP_S}s", "tests": groups}))
    done = run(["promtool", "test", "rules", path], seconds=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def rules():
    """All rules, as mappings."""
    for name in ("recording.yml", "alerts.yml"):
        for one in yaml.safe_load((RULES / name).read_text())["groups"]:
            yield from one["rules"]
