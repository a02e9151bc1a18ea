"""Fixtures of the integration tests. CURFEW is the binary, CURFEW_TOOLS the directory of the test tools."""

import faulthandler
import os
import signal
import threading

import pytest

from harness import bounds
from harness.certs import Certificates
from harness.curfew import Curfew, Faulty, write_config
from harness.durations import Durations
from harness.faults import Faults
from harness.fleet import Fleet
from harness.names import Names, System, zone
from harness.peers import DeafListener, ScriptedUpstream
from harness.process import BINARY
from harness.programs import NameServer, Nginx, with_resolver

# Of a proxy whose test does not say how many it wants. What holds for one must hold for several.
WORKERS = int(os.environ.get("CURFEW_WORKERS") or 1)


def pytest_configure(config):
    config.pluginmanager.register(Durations(), "durations")
    config.addinivalue_line("markers", "sound_only: says nothing about a sanitizer build (memory, large numbers)")
    config.addinivalue_line("markers", "contracts_only: needs a build in which a broken contract ends the process: a sanitizer's")
    config.addinivalue_line("markers", "one_worker: needs what each worker keeps for itself (connections, names, sessions)")
    config.addinivalue_line("markers", "timed: says how late something may be: it runs beside one other such test at most")
    config.addinivalue_line("markers", "alone: needs the whole machine, or gives others something to do: under ASan alone it runs beside another of its kind")
    if not os.access(BINARY, os.X_OK):
        raise pytest.UsageError("CURFEW has to name the curfew binary: `make check-integration` does it")


# Files that take longest begin first, so that no process is left alone with one at the end; the hundreds of ports of test_pairs are
# free again when test_matrix needs some that nobody has.
LONG = ("test_pairs.py", "test_fleet.py", "test_prometheus.py", "test_grpc_clients.py", "test_oom.py", "test_oom_tunnels.py", "test_oom_certificates.py", "test_page.py",
        "test_admin.py", "test_fleet_faults.py", "test_oom_start.py", "test_http2_peers.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
    for item in items:
        if bounds.SANITIZED and item.get_closest_marker("sound_only"):
            item.add_marker(pytest.mark.skip(reason="not on a sanitizer build"))
        if not bounds.SANITIZED and item.get_closest_marker("contracts_only"):
            item.add_marker(pytest.mark.skip(reason="a release build does not evaluate contracts"))
        if WORKERS != 1 and item.get_closest_marker("one_worker"):
            item.add_marker(pytest.mark.skip(reason="not with several workers"))


class TookTooLong(BaseException):
    """Not an Exception, so that no test swallows it."""


def _alarm(_number, _frame):
    raise TookTooLong(f"a test is over after {bounds.TEST:g} s at the latest")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """
    Every test has a hard bound: an alarm, and should that not do, the end of the run. Now and then xdist runs the tests of
    a process in another thread than the main one, where no alarm can be set.
    """
    del item
    has_alarm = threading.current_thread() is threading.main_thread()
    faulthandler.dump_traceback_later(bounds.TEST * 2, exit=True)
    if has_alarm:
        before = signal.signal(signal.SIGALRM, _alarm)
        signal.setitimer(signal.ITIMER_REAL, bounds.TEST)
    yield
    if has_alarm:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


def _finish_all(things, finish):
    """Finishes all of them, even if one fails; then says what failed first."""
    failures = []
    for thing in things:
        try:
            finish(thing)
        except (AssertionError, OSError) as error:
            failures.append(error)
    if failures:
        raise failures[0]


@pytest.fixture
def upstream():
    """Makes scripted upstreams: upstream(), upstream(script), upstream(script, tls=context)."""
    made = []

    def make(script=None, **more):
        made.append(ScriptedUpstream(script, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()
    _finish_all(made, lambda one: one.must_be_content())


@pytest.fixture
def deaf_listener():
    listener = DeafListener()
    yield listener
    listener.close()


@pytest.fixture
def faulty():
    """Starts `curfew faulty` with options; plain unless tls=True."""
    made = []

    def make(*options, **more):
        made.append(Faulty(*options, **more))
        return made[-1]

    yield make
    _finish_all(made, lambda one: one.finish())


def _start(directory, upstreams, top=None, **more):
    """A curfew with these upstreams in a directory of its own; `top` are the other keys of the file."""
    directory.mkdir(exist_ok=True)
    keys = {"workers": WORKERS, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": str(directory / "access.log")}, **(top or {})}
    write_config(directory / "curfew.yaml", upstreams, keys)
    return Curfew(directory, directory / "curfew.yaml", **more)


@pytest.fixture
def later():
    """What is to be ended, the last one first."""
    ends = []
    yield ends.append
    for end in reversed(ends):
        end()


@pytest.fixture
def fleet(tmp_path):
    """Makes fleets of curfews with a redis-server and an API: fleet(how many, size=…)."""
    made = []

    def make(count, **more):
        made.append(Fleet(tmp_path, count, **more))
        return made[-1]

    yield make
    _finish_all(made, lambda one: one.close())


@pytest.fixture
def curfew(tmp_path, upstream, faulty, deaf_listener_or_none):
    """
    Starts curfew. curfew(url="http://…", deadline="1s", …) has one upstream, "api", with these keys; curfew(upstreams={…})
    has several; `top` are the other keys of the file; text= is the whole file.
    """
    del upstream, faulty, deaf_listener_or_none  # they outlive the proxy
    made = []

    def make(*, upstreams=None, top=None, text=None, stdin=None, stdout=None, env=None, wrap=(), **api):
        directory = tmp_path / f"curfew{len(made)}"
        more = {"stdin": stdin, "stdout": stdout, "env": env, "wrap": wrap}
        if text is not None:
            directory.mkdir()
            (directory / "curfew.yaml").write_text(text)
            made.append(Curfew(directory, directory / "curfew.yaml", **more))
        else:
            made.append(_start(directory, {"api": {"deadline": "5s", **api}} if upstreams is None else upstreams, top, **more))
        return made[-1]

    yield make
    _finish_all(made, lambda one: one.finish())


@pytest.fixture
def faults(tmp_path):
    """Faults for the program that is started with env=faults.env."""
    return Faults(tmp_path)


@pytest.fixture
def deaf_listener_or_none(request):
    """So that a deaf listener, where a test has one, outlives the proxy."""
    return request.getfixturevalue("deaf_listener") if "deaf_listener" in request.fixturenames else None


@pytest.fixture
def nginx(tmp_path, certificates):
    """Starts nginx: nginx(), nginx(tls=True), nginx(http2=True)."""
    made = []

    def make(tls=False, more="", http2=False):
        directory = tmp_path / f"nginx{len(made)}"
        directory.mkdir()
        made.append(Nginx(directory, certificates if tls else None, more, http2))
        return made[-1]

    yield make
    _finish_all(made, lambda one: one.finish())


@pytest.fixture
def name_server(tmp_path):
    """name_server({name: [addresses]}) gives (server, command prefix for curfew). Skips where it can't be done."""
    made = []

    def make(answers, **more):
        try:
            server = NameServer(answers, **more)
        except PermissionError:
            pytest.skip("port 53 of a loopback address needs root")
        made.append(server)
        wrap = with_resolver(tmp_path, server.host)
        if not wrap:
            pytest.skip("a mount namespace of its own is not allowed here")
        return server, wrap

    yield make
    for one in made:
        one.close()


@pytest.fixture
def names(tmp_path):
    """names(rule, resolv=…, hosts=…, nsswitch=…) gives (server, system). `{}` in resolv is the server's address."""
    made = []

    def make(rule, resolv="nameserver {}\n", hosts="127.0.0.1 localhost\n", nsswitch="hosts: files dns\n"):
        try:
            made.append(Names(rule if callable(rule) else zone(rule)))
        except PermissionError:
            pytest.skip("port 53 of a loopback address needs root")
        system = System(tmp_path / f"etc{len(made)}", resolv_conf=resolv.replace("{}", made[-1].host), hosts=hosts,
                        nsswitch_conf=nsswitch)
        if not system.wrap:
            pytest.skip("a mount namespace of its own is not allowed here")
        return made[-1], system

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    """(curfew, upstream) that tests of a file share: none may leave anything behind for the next, no connection either."""
    up = ScriptedUpstream()
    try:
        proxy = _start(tmp_path_factory.mktemp("gate"), {"api": {"deadline": "5s", "url": up.url}})
        yield proxy, up
        proxy.finish()
    finally:
        up.close()
    up.must_be_content()


@pytest.fixture
def pair(curfew, upstream):
    """curfew in front of a scripted upstream whose connections the test takes itself: (proxy, upstream)."""
    def make(script=None, upstream_options=None, url_scheme="http", **keys):
        up = upstream(script, **(upstream_options or {}))
        return curfew(url=f"{url_scheme}://{up.authority}", **keys), up

    return make
