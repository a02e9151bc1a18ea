"""
In a sanitizer's build, a curfew that breaks its own contracts (include/base/invariant.h) ends where it does so, and says which.
What a release build does instead, test_failsafe.py says.
"""

import signal

import pytest

from harness.bounds import SOON
from harness.curfew import Curfew, write_config
from harness.peers import ok

pytestmark = pytest.mark.contracts_only

BROKEN = ("sh", "-c", 'shift; exec "$CURFEW_BROKEN" "$@"', "sh")


@pytest.mark.parametrize("breaks, script, contract", [
    ("release 1", ok, "try_fini: Assertion `PRE(try->ticket.permit.state == PERMIT_FREE"),
    ("timer", None, "POST(call_is_over(call) || call_is_sound(call))"),
    ("answer 1", ok, "call_break: "),
])
def test_a_breach_ends_the_process_where_it_is(tmp_path, upstream, breaks, script, contract):
    config = tmp_path / "curfew.yaml"
    write_config(config, {"api": {"url": upstream(script).url, "deadline": "5s", "caller_deadline": {"headers": ["X-Timeout-Ms"]}}}, {
        "workers": 1, "admin": {"listen": "127.0.0.1:0"}})
    proxy = Curfew(tmp_path, config, wrap=BROKEN, env={"CURFEW_BREAK": breaks})
    caller = proxy.caller()
    try:
        caller.request("GET", "/", "X-Timeout-Ms: 1000")
        assert proxy.process.wait_exit(SOON) == -signal.SIGABRT
        assert contract in proxy.process.stderr.text()
    finally:
        caller.close()
        proxy.process.kill()
