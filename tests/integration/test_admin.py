"""The admin listener: its endpoints, what it refuses, and that no client of it can hold it up."""

import contextlib
import errno
import json
import os
import resource
import select
import shutil
import signal
import socket
import stat
import subprocess
import threading

import pytest

from harness.bounds import SLOW, SOON, Stopwatch, poll
from harness.curfew import curfew_command
from harness.faults import RECEIVE
from harness.metrics import Metrics
from harness.peers import ScriptedCaller, ok
from harness.ports import free_port
from harness.programs import curl, tool
from harness.wire import Cut

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
# What a client that does nothing gets, and how many there may be.
CLIENT_SECONDS = 10
CLIENTS_MAX = 100


@pytest.fixture
def service(curfew):
    """A proxy that nobody calls."""
    return curfew(url="http://127.0.0.1:9")


@pytest.fixture
def client(service):
    """Makes connections to the admin listener."""
    made = []

    def make():
        made.append(ScriptedCaller(service.admin))
        return made[-1]

    yield make
    for one in made:
        one.close()


# ------------------------------------------------------------------------------------- endpoints


def test_health_and_readiness(client):
    for target, text in ("/healthz", b"ok\n"), ("/readyz", b"ready\n"):
        answer = client().ask("GET", target)
        assert (answer.status, answer.content) == (200, text)
        assert answer["content-type"].startswith("text/plain")


@pytest.mark.sound_only
def test_a_worker_that_hangs_is_no_health(curfew, faulty, tmp_path):
    """The hook is a library for the test alone: in it, a worker's epoll_wait waits while a file is there."""
    hang = tmp_path / "hang"
    proxy = curfew(url=faulty().url, top={"workers": 2}, env={"LD_PRELOAD": tool("hang.so"), "HANG_FILE": str(hang)})
    assert proxy.admin_get("/healthz") == (200, "ok\n")
    hang.write_text("")
    poll(lambda: proxy.admin_get("/healthz") == (503, "a worker hangs\n"), "503", 4 * SOON)
    assert proxy.admin_get("/readyz") == (200, "ready\n")
    assert proxy.ask("GET", "/ok").status == 200, "the other one works"
    hang.unlink()
    poll(lambda: proxy.admin_get("/healthz") == (200, "ok\n"), "200")


def test_pools_are_json(service, client):
    answer = client().ask("GET", "/pools")
    assert answer.status == 200 and answer["content-type"] == "application/json"
    [pool] = json.loads(answer.content)["pools"]
    assert pool == {"name": "api", "size": 50, "held": 0, "held_peak": 0, "waiting": 0, "acquired": 0, "released": 0,
                    "audit_errors": 0, "ghosts": 0, "limit": 50}


def test_the_root_lists_the_endpoints(client):
    answer = client().ask("GET", "/")
    assert answer.status == 200
    for target in b"/metrics", b"/calls", b"/calls/ID", b"/pools", b"/durations", b"/healthz", b"/readyz":
        assert target in answer.content


def test_metrics_are_prometheus_text(client):
    answer = client().ask("GET", "/metrics")
    assert answer.status == 200
    assert answer["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    metrics = Metrics(answer.content.decode())
    metrics.must_add_up()
    assert metrics.sum("curfew_build_info") == 1
    assert metrics.sum("curfew_pool_size", pool="api") == 50
    assert metrics.types["curfew_call_duration_seconds"] == "histogram"
    assert metrics.has("curfew_config_reloads_total", result="failure")


def test_metrics_tell_of_the_process(service):
    metrics = service.metrics()
    resident = metrics.sum("process_resident_memory_bytes")
    assert 0.5 < resident / service.process.rss_bytes() < 2
    assert metrics.sum("process_virtual_memory_bytes") > resident
    assert abs(metrics.sum("process_open_fds") - service.process.descriptors()) <= 2
    assert metrics.sum("process_max_fds") >= metrics.sum("process_open_fds")
    assert metrics.sum("process_cpu_seconds_total") > 0
    started = os.stat(f"/proc/{service.process.pid}").st_mtime
    assert abs(metrics.sum("process_start_time_seconds") - started) < 5 * SLOW


@pytest.mark.sound_only
def test_a_step_of_the_clock_does_not_look_like_a_restart(curfew, tmp_path):
    step = tmp_path / "step"
    proxy = curfew(url="http://127.0.0.1:9", env={"LD_PRELOAD": tool("clock_step.so"), "STEP_FILE": str(step)})
    started = proxy.metrics().sum("process_start_time_seconds")
    step.touch()
    assert proxy.metrics().sum("process_start_time_seconds") == started


@pytest.mark.sound_only
def test_descriptors_are_counted_where_the_kernel_does_not(curfew):
    proxy = curfew(url="http://127.0.0.1:9", env={"LD_PRELOAD": tool("old_kernel.so")})
    assert proxy.metrics().sum("process_open_fds") == pytest.approx(proxy.process.descriptors(), abs=2)
    idle = [proxy.caller() for _ in range(20)]
    proxy.wait_metric("curfew_connections", 20, side="downstream")
    poll(lambda: abs(proxy.metrics().sum("process_open_fds") - proxy.process.descriptors()) <= 2,
         "a newer count, for the last one is old by then")
    assert proxy.process.descriptors() > len(idle)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (package prometheus) is not installed")
def test_promtool_has_no_complaint(service):
    text = service.admin_get("/metrics")[1]
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, timeout=4 * SOON,
                          check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.sound_only
@pytest.mark.timed
def test_the_page_of_a_hundred_upstreams_takes_less_than_ten_milliseconds(curfew):
    proxy = curfew(upstreams={f"payments-api-{n:03}": {"url": "http://127.0.0.1:9"} for n in range(100)})
    for upstream in proxy.listeners:
        proxy.ask(upstream=upstream)
    host, port = proxy.admin
    took = []
    for _ in range(20):
        done = curl("-o", "/dev/null", "-w", "%{time_total} %{size_download}", f"http://{host}:{port}/metrics")
        seconds, size = done.stdout.split()
        assert int(size) > 1_000_000
        took.append(float(seconds))
    # The best of some: who loses the processor in the middle seems to take longer.
    assert min(took) < 0.010, took


def test_calls_add_up_at_every_scrape_under_load(curfew, upstream):
    api = upstream(lambda exchange: (exchange.recv_request(), exchange.answer(200)))
    proxy = curfew(url=api.url, top={"workers": 2})
    stop, scrapes = threading.Event(), 0

    def call():
        caller = ScriptedCaller(proxy.address())
        while not stop.is_set():
            caller.ask("GET", "/")
        caller.close()

    callers = [threading.Thread(target=call) for _ in range(8)]
    for thread in callers:
        thread.start()
    try:
        while proxy.metrics().calls("completed") < 500 or scrapes < 50:
            scrapes += 1
    finally:
        stop.set()
        for thread in callers:
            thread.join(SOON)
    proxy.wait_idle()


# --------------------------------------------------------------------------------------- requests


def test_head_gives_the_head_alone(client):
    one = client()
    for target in "/metrics", "/calls", "/pools", "/durations", "/healthz", "/":
        answer = one.ask("HEAD", target)
        assert answer.status == 200 and int(answer["content-length"]) > 0
    assert one.ask("GET", "/healthz").content == b"ok\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
@pytest.mark.parametrize("target", ["/metrics", "/"])
def test_other_methods_are_refused(client, method, target):
    answer = client().ask(method, target)
    assert answer.status == 405 and answer["allow"] == "GET, HEAD"
    assert json.loads(answer.content)["status"] == 405


@pytest.mark.parametrize("target", ["/nothing", "/metrics/", "//metrics", "/call", "/%6detrics", "/..%2fmetrics"])
def test_other_targets_do_not_exist(client, target):
    answer = client().ask("GET", target)
    assert answer.status == 404 and answer["content-type"] == "application/problem+json"
    assert json.loads(answer.content) | {"detail": ""} == \
        {"type": "about:blank", "title": "Not Found", "status": 404, "detail": ""}


def test_a_query_is_passed_over(client):
    assert client().ask("GET", "/healthz?verbose=1").content == b"ok\n"


def test_requests_on_one_connection_are_answered_in_order(client):
    one = client()
    one.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" + HEALTH + b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n")
    assert one.recv_response().content.startswith(b"# HELP")
    assert one.recv_response().content == b"ok\n"
    assert one.recv_response().status == 404


GARBAGE = {
    "a word": b"garbage\r\n\r\n",
    "a method alone": b"GET\r\n\r\n",
    "a version to come": b"GET / HTTP/9.9\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a line without a colon": b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    "a length that is no number": b"GET /metrics HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    "a head too large": b"GET / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
    "a line without an end": b"A" * 100000,
    "content too large": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_what_is_no_request_does_no_harm(service, client, garbage):
    one = client()
    one.send(garbage)
    one.half_close()
    try:
        answer = one.read_all()
    except Cut as cut:
        answer = cut.content
    assert answer == b"" or 400 <= int(answer.split(b" ")[1]) < 600
    assert service.admin_get("/healthz") == (200, "ok\n")


# ---------------------------------------------------------------------------------------- clients


def test_clients_that_leave_in_the_middle_do_no_harm(service, client):
    before = service.process.descriptors()
    for end in ["close", "reset", "half_close"] * 60:
        one = client()
        one.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        getattr(one, end)()
        one.close()
    poll(lambda: service.admin_get("/metrics")[0] == 200, "a scrape after those of clients that have left")
    poll(lambda: service.process.descriptors() <= before, "the descriptors of clients that have left")


def test_many_scrapes_at_once_are_all_answered(client):
    clients = [client() for _ in range(90)]
    for one in clients:
        one.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    statuses = [one.recv_response().status for one in clients]
    assert set(statuses) <= {200, 503} and statuses.count(200) >= 64


def test_connections_are_bounded_and_given_back(service, client):
    """Past the bound, the oldest one that waits for nothing but its own next request goes."""
    idle = [client() for _ in range(CLIENTS_MAX)]
    for one in idle:
        one.send(HEALTH)
        assert one.recv_response().status == 200
    late = client()
    late.send(HEALTH)
    assert late.recv_response().status == 200
    idle[0].wait_ended()
    for one in idle[1:]:
        one.must_be_open()
    for one in idle:
        one.close()
    for _ in range(3):
        assert service.admin_get("/healthz")[0] == 200


def _says_nothing(_one):
    pass


def _says_half_a_request_line(one):
    one.send(b"GET /met")


def _says_half_a_request(one):
    one.send(b"POST /reload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")


def _is_kept_alive(one):
    one.send(HEALTH)
    assert one.recv_response().status == 200


def _reads_nothing(one):
    """Of so many answers that no socket takes them."""
    one.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 200)


SILENT = [_says_nothing, _says_half_a_request_line, _says_half_a_request, _is_kept_alive, _reads_nothing]


def _probe(address, target):
    """A probe as Kubernetes makes it: a connection of its own, and a second."""
    watch, probe = Stopwatch(), ScriptedCaller(address)
    try:
        status = probe.ask("GET", target, "Connection: close").status
    finally:
        probe.close()
    assert watch.elapsed() < 1 * SLOW, f"{target} took {watch.elapsed():.3f} s"
    return status


@pytest.fixture(params=["admin", "admin by a unix socket", "metrics"])
def probed(request, curfew, tmp_path):
    """A proxy, and where its probes go."""
    listen = f"unix:{tmp_path}/admin.sock" if "unix" in request.param else "127.0.0.1:0"
    proxy = curfew(url="http://127.0.0.1:9", top={"admin": {"listen": listen, "metrics_listen": "127.0.0.1:0"}})
    return proxy, proxy.metrics_address if request.param == "metrics" else proxy.admin


@pytest.mark.parametrize("silence", SILENT, ids=[how.__name__[1:] for how in SILENT])
def test_silent_connections_delay_no_probe(probed, silence):
    proxy, address = probed
    crowd = []
    try:
        for n in range(CLIENTS_MAX + 30):
            crowd.append(ScriptedCaller(address))
            silence(crowd[-1])
            if n % 10 == 0 or n >= CLIENTS_MAX:
                assert _probe(address, "/healthz" if n % 20 else "/readyz") == 200
        assert proxy.process.descriptors() < 2 * CLIENTS_MAX + 50
    finally:
        for one in crowd:
            one.close()


def test_a_thousand_silent_connections_at_once_delay_no_probe(service, client):
    crowd = [client() for _ in range(1000)]
    for target in ("/healthz", "/readyz"):
        assert _probe(service.admin, target) == 200
    crowd[0].wait_ended()
    crowd[-1].must_be_open()
    assert service.process.descriptors() < 2 * CLIENTS_MAX


def test_who_waits_for_an_answer_outstays_who_says_nothing(pair, faults):
    """A scrape that a worker does not answer is older than all silent ones."""
    proxy, _ = pair(ok, env=faults.env)
    caller, asking = proxy.caller(), ScriptedCaller(proxy.admin)
    assert caller.ask().status == 200
    with faults.armed(RECEIVE, error=errno.EAGAIN, hangs=1):
        caller.request()
        poll(lambda: faults.failed, "the worker to hang")
        asking.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        crowd = [ScriptedCaller(proxy.admin) for _ in range(CLIENTS_MAX + 30)]
        assert _probe(proxy.admin, "/healthz") == 200
        response = asking.recv_response()
        assert response.status == 503 and b"did not answer" in response.content
    assert caller.recv_response().status == 200
    for one in (asking, *crowd):
        one.close()


def test_probes_have_descriptors_when_the_calls_have_taken_all(pair):
    """Callers' connections take what there is; the admin has kept some back."""
    proxy, _ = pair(ok)
    proxy.ask()
    last = max(int(name) for name in os.listdir(f"/proc/{proxy.process.pid}/fd"))
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (last + 20, last + 20))
    crowd = [proxy.caller() for _ in range(last + 40)]
    poll(lambda: proxy.process.descriptors() >= last + 19, "no descriptor to be left")
    for n in range(20):
        assert _probe(proxy.admin, "/readyz" if n % 2 else "/healthz") == 200
    assert proxy.process.descriptors() >= last + 16
    for one in crowd:
        one.close()


def test_a_request_that_drips_in_is_cut(service, client):
    watch, one = Stopwatch(), client()
    for byte in (b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 1000):
        if one.ended():
            break
        one.send_some(bytes([byte]))
        # Bounded waiting for the end, not sleeping: the drip is as fast as this is long.
        try:
            one.wait_ended(0.5)
        except AssertionError:
            assert watch.elapsed() < CLIENT_SECONDS + 2 * SLOW, "still there"
    assert watch.elapsed() >= CLIENT_SECONDS - 0.1
    assert service.admin_get("/healthz")[0] == 200


def test_a_silent_client_is_cut_while_others_are_served(service, client):
    watch, silent = Stopwatch(), client()
    silent.send(b"GET /met")
    while watch.elapsed() < CLIENT_SECONDS - 1:
        assert service.admin_get("/healthz")[0] == 200
        assert not silent.ended()
        assert not _ends_within(silent, 0.5)
    silent.wait_ended(2 * SLOW + 1)


def _ends_within(peer, seconds):
    try:
        return bool(peer.wait_ended(seconds))
    except AssertionError:
        return False


# -------------------------------------------------------------------------------------- listening


def test_a_unix_socket(curfew, tmp_path):
    path = tmp_path / "admin.sock"
    proxy = curfew(url="http://127.0.0.1:9", top={"admin": {"listen": f"unix:{path}"}})
    assert proxy.admin == str(path)
    mode = os.stat(path)
    assert stat.S_ISSOCK(mode.st_mode) and stat.S_IMODE(mode.st_mode) == 0o660
    assert proxy.admin_get("/healthz") == (200, "ok\n")
    proxy.metrics()
    proxy.stop()
    assert not path.exists()


def test_a_stale_unix_socket_is_replaced(curfew, tmp_path):
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    proxy = curfew(url="http://127.0.0.1:9", top={"admin": {"listen": f"unix:{path}"}})
    assert proxy.admin_get("/healthz")[0] == 200


@pytest.mark.skipif(not os.path.exists("/proc/net/if_inet6"), reason="no IPv6 here")
def test_ipv6(curfew):
    proxy = curfew(url="http://127.0.0.1:9", top={"admin": {"listen": "[::1]:0"}})
    assert proxy.admin[0] == "::1" and proxy.admin[1] > 0
    assert proxy.admin_get("/healthz") == (200, "ok\n")


def _start_in_vain(tmp_path, listen, **admin):
    config = tmp_path / "taken.yaml"
    config.write_text(f"admin: {json.dumps({'listen': listen, **admin})}\n"
                      "upstreams: {api: {listen: 127.0.0.1:0, url: \"http://127.0.0.1:9\"}}\n")
    done = curfew_command("serve", "-c", config)
    assert done.returncode == 1
    return done.stderr


def test_a_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert f"admin: can't listen on {listen}: Address already in use" in _start_in_vain(tmp_path, listen)


def test_a_unix_socket_in_use_is_left_alone(tmp_path):
    path = tmp_path / "taken.sock"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        assert f"can't listen on unix:{path}: Address already in use" in _start_in_vain(tmp_path, f"unix:{path}")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "precious"
    path.write_text("text")
    assert "can't listen on" in _start_in_vain(tmp_path, f"unix:{path}")
    assert path.read_text() == "text"


# --------------------------------------------------------------------------------- curfew ready


def _ready(*args, status, said=""):
    watch, done = Stopwatch(), curfew_command("ready", *map(str, args))
    assert watch.elapsed() < 1.5 * SLOW
    assert (done.returncode, done.stdout) == (status, "") and said in done.stderr and bool(said) == bool(done.stderr), done
    return done.stderr


@pytest.mark.parametrize("admin", [{"listen": "127.0.0.1:PORT"}, {"listen": "unix:PATH"}, {"metrics_listen": "0.0.0.0:PORT"},
                                   {"listen": {"address": "unix:PATH", "mode": "0600"}, "metrics_listen": 0},
                                   {"metrics_listen": {"address": "unix:PATH"}}],
                         ids=["listen", "a unix socket", "metrics_listen", "a map", "metrics by a unix socket"])
def test_ready_finds_who_to_ask_by_the_configuration(curfew, tmp_path, admin):
    port = free_port()
    admin = json.loads(json.dumps(admin).replace("PORT", str(port)).replace("PATH", str(tmp_path / "admin.sock")))
    proxy = curfew(url="http://127.0.0.1:9", top={"admin": admin})
    _ready("-c", proxy.config, status=0)
    _ready(proxy.config, status=0)
    _ready("--admin", f"unix:{tmp_path}/admin.sock" if "unix" in str(admin) else f"127.0.0.1:{port}", status=0)
    proxy.stop()
    _ready(proxy.config, status=1, said="Connection refused" if "unix" not in str(admin) else "No such file or directory")


def test_ready_is_not_said_once_the_end_has_begun(curfew, upstream):
    path = upstream(ok).url
    proxy = curfew(url=path, top={"drain_delay": "60s"})
    where = "%s:%d" % proxy.admin
    _ready("--admin", where, status=0)
    proxy.process.signal(signal.SIGTERM)
    poll(lambda: proxy.admin_get("/readyz")[0] == 503, "readyz to say 503")
    assert _ready("--admin", where, status=1, said=f"curfew: ready: {where}: ") == f"curfew: ready: {where}: status 503: not ready\n"
    proxy.process.signal(signal.SIGTERM)
    assert proxy.process.wait_exit(10 * SLOW) == 0


@pytest.mark.parametrize("what", ["accepts nothing", "says nothing", "drips"])
def test_ready_takes_a_second_at_most(what):
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = []
    with listener:
        address = listener.getsockname()
        if what == "accepts nothing":
            for _ in range(8):
                fillers.append(socket.socket())
                fillers[-1].setblocking(False)
                fillers[-1].connect_ex(address)
        elif what == "drips":
            threading.Thread(target=_drip, args=(listener,), daemon=True).start()
        try:
            _ready("--admin", "%s:%d" % address, status=1, said="no answer in time")
        finally:
            for one in fillers:
                one.close()


def _drip(listener):
    peer, _ = listener.accept()
    with peer, contextlib.suppress(OSError):
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
            peer.send(bytes([byte]))
            if select.select([peer], [], [], 0.05)[0] and not peer.recv(4096):
                break


def test_ready_says_what_is_wrong(tmp_path):
    config = tmp_path / "none.yaml"
    config.write_text("upstreams: {api: {listen: 1, url: 'http://a'}}\n")
    _ready(config, status=1, said=f"curfew: {config}: without admin.listen or admin.metrics_listen there is nobody to ask\n")
    config.write_text("admin: {listen: 9600\n")
    _ready(config, status=1, said=f"{config}:")
    _ready(tmp_path / "missing.yaml", status=1, said="No such file or directory")
    _ready("--admin", "nowhere", status=1, said="curfew: ready: nowhere: not an address")
    _ready("--frob", status=2, said="curfew: ready: unknown option --frob")
    _ready("-c", "a", "b", status=2, said='unexpected argument "b"')


# ------------------------------------------------------------------------- the listener without powers


@pytest.fixture
def watched(curfew, upstream):
    """A proxy in front of an upstream, with admin.metrics_listen at an address that others can reach."""
    return curfew(url=upstream(ok).url, top={"admin": {"listen": "127.0.0.1:0", "metrics_listen": "0.0.0.0:0"}})


def _ask_metrics(proxy, method, target):
    caller = ScriptedCaller(("127.0.0.1", proxy.metrics_address[1]))
    try:
        return caller.ask(method, target)
    finally:
        caller.close()


def test_metrics_listen_has_metrics_and_probes(watched):
    assert watched.ask().status == 200
    watched.wait_idle()
    metrics = Metrics(_ask_metrics(watched, "GET", "/metrics").content.decode())
    metrics.must_add_up()
    assert metrics.calls("completed") == 1
    assert _ask_metrics(watched, "GET", "/healthz").content == b"ok\n"
    assert _ask_metrics(watched, "HEAD", "/readyz").status == 200
    assert _ask_metrics(watched, "GET", "/metrics?name=x").status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
def test_metrics_listen_has_nothing_else(watched, method):
    for target in ("/", "/calls", "/calls/1", "/config", "/pools", "/history", "/stuck", "/durations", "/reload",
                   "/page/page.mjs", "/metrics/", "/healthz/x", "//metrics", "/Metrics"):
        assert _ask_metrics(watched, method, target).status == 404, target
    assert watched.metrics().sum("curfew_config_reloads_total") == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_metrics_listen_can_only_be_read(watched, method):
    for target in ("/metrics", "/healthz", "/readyz"):
        response = _ask_metrics(watched, method, target)
        assert (response.status, response["allow"]) == (405, "GET, HEAD"), target


def test_a_reload_says_that_metrics_listen_stays(watched):
    shown = json.loads(watched.admin_get("/config")[1])["config"]["admin"]
    assert shown["metrics_listen"] == f"0.0.0.0:{watched.metrics_address[1]}"
    watched.rewrite({"api": {"url": "http://127.0.0.1:9"}})
    assert "warning: admin.metrics_listen: stays as it is until the next start" in watched.must_reload()
    assert "admin.listen" not in watched.must_reload()
    assert _ask_metrics(watched, "GET", "/readyz").status == 200


def test_metrics_listen_may_be_all_that_there_is(curfew, tmp_path):
    path = tmp_path / "metrics.sock"
    proxy = curfew(url="http://127.0.0.1:9", top={"admin": {"metrics_listen": f"unix:{path}"}})
    assert (proxy.admin, proxy.metrics_address) == (None, str(path))
    caller = ScriptedCaller(str(path))
    assert caller.ask("GET", "/readyz").status == 200 and caller.ask("POST", "/reload").status == 404
    caller.close()
    done = curfew_command("reload", str(proxy.config))
    assert done.returncode == 1 and "without admin.listen there is nobody to ask" in done.stderr


def test_a_metrics_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        said = _start_in_vain(tmp_path, "127.0.0.1:0", metrics_listen=listen)
        assert f"admin: can't listen on {listen}: Address already in use" in said
