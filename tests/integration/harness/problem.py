"""The answers that curfew makes itself: application/problem+json with Proxy-Status (RFC 9457, RFC 9209)."""

import json
import re

from .bounds import SLOW

MEMBERS = {"type", "title", "status", "detail", "upstream", "phase", "sent", "budget_ms", "elapsed_ms", "phases_ms", "call"}
BREAKER = {"state", "opens_in_ms", "reason"}  # of a call that a breaker has refused
RETRIES = {"tries", "retry_stopped", "last_status"}  # if there were any, or might have been
PHASES = ("upload", "queue", "backoff", "dns", "connect", "tls", "send", "wait", "receive")

TIMEOUT_ERROR = {"dns": "dns_timeout", "connect": "connection_timeout", "tls": "connection_timeout",
                 "queue": "connection_limit_reached"}


def parse(response):
    """The problem of a response, with everything checked that holds for all of them."""
    assert response["content-type"] == "application/problem+json", response.fields
    problem = json.loads(response.content)
    assert problem["status"] == response.status
    assert problem["call"] == response["x-curfew-call"] != ""
    assert isinstance(problem["title"], str) and problem["title"]
    assert isinstance(problem["type"], str) and isinstance(problem["detail"], str)
    assert ("retry-after" in response.fields) == (response.status == 503), response.fields
    assert "retry-after" not in response.fields or problem.get("sent", "none") == "none", problem
    return problem


def proxy_error(response):
    """The error that Proxy-Status names."""
    match = re.fullmatch(r'[!-~]+?; ?error=([a-z_]+)(;.*)?', response["proxy-status"] or "")
    assert match, f"Proxy-Status: {response['proxy-status']}"
    return match[1]


def expect(response, status, error, *, phase=None, sent=None, upstream="api"):
    """A call's failure, told in full."""
    assert response.status == status, (response, response.content)
    problem = parse(response)
    members = MEMBERS | (BREAKER if problem["type"].endswith(":breaker_open") else set())
    assert set(problem) - RETRIES == members, set(problem) ^ members
    assert proxy_error(response) == error, problem
    assert problem["upstream"] == upstream
    if phase:
        assert problem["phase"] == phase, problem
    if sent:
        assert problem["sent"] == sent, problem
    assert set(problem["phases_ms"]) <= set(PHASES)
    assert abs(sum(problem["phases_ms"].values()) - problem["elapsed_ms"]) <= len(PHASES), problem
    return problem


def expect_stuck(response, phase, budget_ms, *, sent=None, after_ms=None, upstream="api"):
    """504 for a call that was over after `after_ms` (its whole budget if not given), in `phase`."""
    problem = expect(response, 504, TIMEOUT_ERROR.get(phase, "http_response_timeout"), phase=phase, sent=sent,
                     upstream=upstream)
    assert problem["budget_ms"] == budget_ms
    due = budget_ms if after_ms is None else after_ms
    assert due - 1 <= problem["elapsed_ms"] <= due + 50 * SLOW, problem
    return problem
