"""
What happens when curfew itself is wrong: a broken invariant costs the call that it belongs to and no other; a crash, and a
worker that can't go on, end the process at once and say why. The invariants are broken by a curfew that is told to
(tests/broken/break.c).
"""

import ctypes
import os
import re
import signal
import subprocess

import pytest

from harness.bounds import SLOW, SOON, poll
from harness.curfew import Curfew, curfew_command, write_config
from harness.metrics import Metrics
from harness.peers import ok
from harness.problem import expect
from harness.process import BINARY, Process
from harness.programs import tool
from harness.wire import Cut

# A sanitizer build has asserts, which end it at a broken invariant, and handlers of its own for crashes.
pytestmark = pytest.mark.sound_only

BROKEN = ("sh", "-c", 'shift; exec "$CURFEW_BROKEN" "$@"', "sh")
# Standard error is taken for the journal (sd-daemon(3)).
JOURNAL = ("sh", "-c", 'export JOURNAL_STREAM="$(stat -Lc %d:%i /proc/self/fd/2)"; exec "$@"', "sh")
CRASHES = [signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT]
REPORT = re.compile(r"curfew: error: crash: SIG([A-Z]+) .*in thread (\d+), version (\S+); its stack:")
FRAME = re.compile(r"\S*/curfew\(.*\+0x[0-9a-f]+\)\s?\[0x[0-9a-f]+\]\Z")


@pytest.fixture
def doomed(tmp_path, upstream):
    """A proxy that is not expected to end well: doomed(script, what breaks, keys of the upstream): (proxy, upstream)."""
    made = []

    def make(script=None, breaks=None, *, workers=1, journal=False, env=None, **api):
        up = upstream(script)
        config = tmp_path / "curfew.yaml"
        write_config(config, {"api": {"url": up.url, "deadline": "5s", **api}}, {
            "workers": workers, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": str(tmp_path / "access.log")}})
        wrap = (*(JOURNAL if journal else ()), *(BROKEN if breaks else ()))
        made.append(Curfew(tmp_path, config, wrap=wrap, env={"CURFEW_BREAK": breaks or "", **(env or {})}))
        return made[-1], up

    yield make
    for proxy in made:
        for caller in proxy.callers:
            caller.close()
        proxy.process.kill()


def scrape(proxy):
    """Without the equations that hold for a sound one."""
    status, text = proxy.admin_get("/metrics")
    assert status == 200
    return Metrics(text)


def scrape_idle(proxy):
    """Once all has been given back: a connection that is cut has to wait for its turn."""
    last = []

    def is_idle():
        last[:] = [scrape(proxy)]
        return None if last[0].why_not_idle() else last[0]

    return poll(is_idle, lambda: f"nothing left going on: {last[0].why_not_idle()}", SOON)


def complaints(proxy):
    """What it says of itself on standard error, once there is something."""
    return proxy.process.stderr.wait(lambda lines: [line for line in lines if ": error: " in line], SOON)


def ask(proxy):
    """The status; None of a response that was cut."""
    try:
        return proxy.ask().status
    except (Cut, OSError):
        return None


# ---------------------------------------------------------------- an invariant of a call


def told_once(proxy, state, step, *, completed):
    """One call has ended because of itself: counted, in the log, on standard error; and it has given everything back."""
    metrics = scrape_idle(proxy)
    assert metrics.sum("curfew_broken_invariants_total") == 1
    assert metrics.calls("failed", reason="broken_invariant") == metrics.calls("failed") == 1
    assert metrics.calls("completed") == completed
    assert metrics.sum("curfew_pool_audit_errors_total") == 0
    line, = [line for line in proxy.log(completed + 1) if line["outcome"] != "completed"]
    assert line["outcome"] == "failed" and line["cause"] == "broken_invariant"
    assert line["detail"] == f"in state {state}: it can't go on to {step}"
    complaint, = complaints(proxy)
    assert complaint == f"curfew: error: broken invariant: call {line['id']} of upstream api {line['detail']}"


@pytest.mark.parametrize("state, step, sees", [
    ("READING", "TRYING", 500), ("IDLE", "CONNECTING", 500), ("CONNECTING", "SENDING", 500),
    ("SENDING", "WAITING", 500), ("WAITING", "STREAMING", 500), ("STREAMING", "RESPONDING", 500),
    ("RESPONDING", "OVER", 200), ("RESPONDING", "DONE", 200)])
def test_a_call_that_can_not_go_on_ends_alone(doomed, state, step, sees):
    proxy, _ = doomed(ok, f"move {step} 2", keepalive={"max_idle": 0})
    assert ask(proxy) == 200
    assert ask(proxy) == sees
    assert ask(proxy) == 200
    told_once(proxy, state, step, completed=2)
    proxy.stop()


def test_the_caller_is_told_that_curfew_is_wrong(doomed):
    proxy, _ = doomed(ok, "move WAITING 1")
    response = proxy.ask()
    problem = expect(response, 500, "proxy_internal_error", phase="send", sent="complete")
    assert "error of its own" in problem["title"] and "SENDING" in problem["detail"]
    proxy.stop()


def test_a_call_on_a_kept_connection_that_can_not_go_on_destroys_it(doomed):
    proxy, up = doomed(None, "move SENDING 2")
    first = proxy.caller()
    first.request()
    exchange, _ = up.take()
    exchange.answer()
    assert first.recv_response().status == 200
    assert proxy.ask().status == 500
    assert exchange.wait_ended()
    told_once(proxy, "IDLE", "SENDING", completed=1)
    proxy.stop()


def test_a_call_that_can_not_wait_leaves_the_queue(doomed):
    proxy, up = doomed(None, "move QUEUED 1", pool={"size": 1, "queue": 5})
    holder = proxy.caller()
    holder.request()
    exchange, _ = up.take()
    assert proxy.ask().status == 500
    exchange.answer()
    assert holder.recv_response().status == 200
    told_once(proxy, "IDLE", "QUEUED", completed=1)
    proxy.stop()


def test_a_call_whose_timer_is_lost_is_found_and_ended(doomed):
    """Its timer stands where it was when the call began: 5 s, not the 100 ms that the caller asked for."""
    proxy, up = doomed(None, "timer", deadline="20s", caller_deadline={"headers": ["X-Request-Timeout-Ms"]})
    caller = proxy.caller()
    caller.request("GET", "/", "X-Request-Timeout-Ms: 100")
    exchange, _ = up.take()
    response = caller.recv_response()
    expect(response, 500, "proxy_internal_error", phase="wait")
    assert exchange.wait_ended()
    assert scrape_idle(proxy).sum("curfew_broken_invariants_total") == 1
    complaint, = complaints(proxy)
    assert "does not hold what belongs to its state" in complaint
    proxy.stop()


def test_a_call_to_which_something_impossible_happens_ends_alone(doomed):
    proxy, _ = doomed(ok, "answer 2")
    assert [ask(proxy) for _ in range(3)] == [200, 500, 200]
    metrics = scrape_idle(proxy)
    assert metrics.sum("curfew_broken_invariants_total") == 1
    assert metrics.calls("failed", reason="broken_invariant") == 1 and metrics.calls("completed") == 2
    complaint, = complaints(proxy)
    assert complaint.endswith("in state IDLE: its pool's answer is none that a pool can give")
    proxy.stop()


def test_what_was_found_impossible_is_counted_and_told_of_within_seconds(doomed):
    proxy, _ = doomed(ok, "impossible 1")
    assert ask(proxy) == 200
    poll(lambda: scrape(proxy).sum("curfew_broken_invariants_total") == 1, "the audit to count it", SOON)
    assert complaints(proxy) == ["curfew: error: broken invariant: told to be"]
    proxy.stop()


def test_a_permit_that_leaks_is_counted_by_the_audit(doomed):
    proxy, _ = doomed(ok, "release 1", pool={"size": 2, "queue": 5})
    assert ask(proxy) == 200
    poll(lambda: scrape(proxy).sum("curfew_pool_audit_errors_total", pool="api") >= 2, "the audit to find it", SOON)
    assert ask(proxy) == 200
    assert set(complaints(proxy)) == {"curfew: error: pool api: its books do not agree with the calls of worker 0"}
    proxy.stop()


def test_the_breakable_curfew_is_sound_if_it_is_not_told_to_break(doomed):
    proxy, _ = doomed(ok, "nothing")
    assert [ask(proxy) for _ in range(3)] == [200] * 3
    metrics = proxy.metrics()
    assert metrics.calls("completed") == 3 and metrics.sum("curfew_broken_invariants_total") == 0
    proxy.stop()


# --------------------------------------------------------------------------------- crashes


def must_have_crashed(proxy, number, thread):
    assert proxy.process.wait_exit() == -number
    lines = proxy.process.stderr.lines
    report, = [match for line in lines if (match := REPORT.match(line))]
    assert "SIG" + report[1] == signal.Signals(number).name
    assert int(report[2]) == thread
    assert report[3] == curfew_command("version").stdout.split()[1]
    # The handler's own two at least: how far it comes beyond depends on what the thread was at.
    assert sum(bool(FRAME.match(line)) for line in lines) >= 2, proxy.process.stderr.text()
    assert any(line.startswith("/") and "libc" in line for line in lines)


def threads(proxy):
    return sorted(int(name) for name in os.listdir(f"/proc/{proxy.process.pid}/task"))


def kill_thread(proxy, thread, number):
    assert ctypes.CDLL(None).tgkill(proxy.process.pid, thread, int(number)) == 0


def test_two_threads_that_crash_at_once_leave_one_report(doomed):
    proxy, _ = doomed(ok, workers=2)
    for thread in threads(proxy)[-2:]:
        ctypes.CDLL(None).tgkill(proxy.process.pid, thread, int(signal.SIGSEGV))  # the second may come too late
    assert proxy.process.wait_exit() == -signal.SIGSEGV
    assert sum(bool(REPORT.match(line)) for line in proxy.process.stderr.lines) == 1


@pytest.mark.parametrize("number", CRASHES)
def test_a_crash_leaves_a_backtrace_and_its_own_exit_status(doomed, number):
    proxy, _ = doomed(ok)
    assert ask(proxy) == 200
    proxy.process.signal(number)
    must_have_crashed(proxy, number, proxy.process.pid)


def test_a_crash_of_any_thread_ends_the_process_with_a_backtrace(doomed):
    count = len(threads(doomed(ok, workers=2)[0]))
    assert count >= 4, "main, the access log, two workers"
    for index in range(1, count):
        proxy, _ = doomed(ok, workers=2)
        thread = threads(proxy)[index]
        kill_thread(proxy, thread, signal.SIGSEGV)
        must_have_crashed(proxy, signal.SIGSEGV, thread)


def test_a_crash_whose_report_nobody_reads_ends_the_process_all_the_same(tmp_path):
    """Standard error is a full pipe: curfew is stuck in its first message, and then its report is."""
    config = tmp_path / "curfew.yaml"
    write_config(config, {"api": {"url": "http://127.0.0.1:9"}}, {})
    ours, its = os.pipe()
    os.set_blocking(its, False)
    try:
        while True:
            os.write(its, b"." * 4096)
    except BlockingIOError:
        os.set_blocking(its, True)
    process = subprocess.Popen([BINARY, "serve", "-c", str(config)], stderr=its, stdin=subprocess.DEVNULL)
    try:
        poll(lambda: _is_stuck_in_write(process.pid), "curfew to be stuck", SOON)
        process.send_signal(signal.SIGSEGV)
        assert process.wait(10 * SLOW) == -signal.SIGSEGV
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(its)


def _is_stuck_in_write(pid):
    with open(f"/proc/{pid}/wchan", encoding="ascii") as wchan:
        return "pipe_write" in wchan.read()


def test_in_the_journal_a_crash_is_critical_and_what_is_broken_an_error(doomed):
    """So that they are found by their priority, each line of the stack too."""
    proxy, _ = doomed(ok, "move WAITING 1", journal=True)
    assert ask(proxy) == 500
    assert proxy.process.stderr.wait(lambda lines: [line for line in lines if line.startswith("<3>broken invariant: ")], SOON)
    assert "<6>ready" in proxy.process.stderr.lines
    proxy.process.signal(signal.SIGSEGV)
    assert proxy.process.wait_exit() == -signal.SIGSEGV
    lines = proxy.process.stderr.lines
    at = next(number for number, line in enumerate(lines) if line.startswith("<2>crash: SIGSEGV "))
    assert len(lines) > at + 2 and all(line.startswith("<2>") for line in lines[at + 1:]), proxy.process.stderr.text()


# --------------------------------------------------------------------------------- workers


def test_a_worker_that_can_not_go_on_takes_the_process_with_it(doomed):
    proxy, _ = doomed(ok, "loop 60", workers=2)
    process: Process = proxy.process
    poll(lambda: not process.is_running() or ask(proxy) is None, "a worker to fail", SOON)
    assert process.wait_exit() == 1
    assert re.search(r"^curfew: error: the event loop of worker [01] has failed: ending$", process.stderr.text(), re.M)


def test_a_worker_that_hangs_holds_up_no_end(doomed, tmp_path):
    """The hook is a library for the test alone: in it, a worker's epoll_wait waits while a file is there."""
    hang = tmp_path / "hang"
    proxy, _ = doomed(workers=2, env={"LD_PRELOAD": tool("hang.so"), "HANG_FILE": str(hang)})
    hang.write_text("")
    poll((tmp_path / "hang.held").exists, "a worker that hangs", 10 * SLOW)
    proxy.process.signal(signal.SIGTERM)
    poll(lambda: proxy.admin_get("/readyz")[0] == 503, "readyz to say 503")
    proxy.process.signal(signal.SIGTERM)
    assert proxy.process.wait_exit(10 * SLOW) == 1
    assert "hangs: ending without it" in proxy.process.stderr.text()
