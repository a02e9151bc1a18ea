"""Real programs at both ends: nginx as the upstream, plain and by TLS, and curl as the caller."""

import hashlib
import random

import pytest

from harness.programs import curl

BOTH = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@pytest.fixture
def through(curfew, nginx, certificates):
    """nginx behind curfew: (proxy, nginx)."""
    def make(tls=False, **keys):
        server = nginx(tls)
        if tls:
            keys["tls"] = {"ca_file": certificates.ca}
        return curfew(url=server.url, **keys), server

    return make


def random_bytes(size, seed=1):
    return random.Random(seed).randbytes(size)


@BOTH
@pytest.mark.parametrize("size", [0, 1, 100_000, 20_000_000])
def test_a_file_is_fetched(through, tmp_path, tls, size):
    proxy, server = through(tls)
    server.file("file", content := random_bytes(size))
    got = tmp_path / "got"
    done = curl("-o", got, "-w", "%{http_code} %{size_download}", proxy.url("/file"))
    assert done.stdout == f"200 {size}" and got.read_bytes() == content
    assert proxy.wait_idle().calls("completed", **{"class": "2xx"}) == 1


@BOTH
def test_head_is_answered_without_content(through, tls):
    proxy, server = through(tls)
    server.file("file", bytes(4321))
    done = curl("--head", proxy.url("/file"))
    assert "HTTP/1.1 200 OK" in done.stdout and "Content-Length: 4321" in done.stdout


@BOTH
@pytest.mark.parametrize("size, chunked", [(0, False), (5, False), (5, True), (3_000_000, False), (3_000_000, True)])
def test_a_file_is_uploaded(through, tmp_path, tls, size, chunked):
    proxy, server = through(tls)
    source = tmp_path / "source"
    source.write_bytes(random_bytes(size, 2))
    more = ["-H", "Transfer-Encoding: chunked"] if chunked else []
    done = curl("-T", source, *more, "-w", "%{http_code}", proxy.url("/dav/up"))
    assert done.stdout == "201", done.stderr
    assert hashlib.sha256(server.uploaded("up")).digest() == hashlib.sha256(source.read_bytes()).digest()


@BOTH
def test_100_continue_is_waited_for(through, tmp_path, tls):
    """nginx says 100, and curl would wait a whole second without it."""
    proxy, server = through(tls)
    source = tmp_path / "source"
    source.write_bytes(random_bytes(200_000))
    done = curl("-T", source, "-H", "Expect: 100-continue", "--expect100-timeout", "4", "-w", "%{http_code} %{time_total}",
                proxy.url("/dav/up"), seconds=8)
    status, seconds = done.stdout.split()
    assert status == "201" and float(seconds) < 3.5
    assert server.uploaded("up") == source.read_bytes()


def test_an_upload_that_is_refused_early(through, tmp_path):
    proxy, _ = through()
    source = tmp_path / "source"
    source.write_bytes(bytes(1_000_000))
    done = curl("-X", "POST", "-T", source, "-o", tmp_path / "out", "-w", "%{http_code}", proxy.url("/small/"))
    assert done.stdout == "413", done.stderr
    proxy.wait_idle()


@BOTH
def test_ranges(through, tls):
    proxy, server = through(tls)
    server.file("file", bytes(range(256)).hex().encode())
    assert curl("-r", "10-19", proxy.url("/file")).stdout == bytes(range(256)).hex()[10:20]
    done = curl("-r", "9999-", "-w", "%{http_code}", "-o", "/dev/null", proxy.url("/file"))
    assert done.stdout == "416"


def test_not_modified(through):
    proxy, server = through()
    server.file("file", b"content")
    etag = [line.split(" ", 1)[1] for line in curl("--head", proxy.url("/file")).stdout.splitlines()
            if line.lower().startswith("etag")][0]
    done = curl("-H", f"If-None-Match: {etag}", "-w", "%{http_code}", proxy.url("/file"))
    assert done.stdout == "304"


@BOTH
def test_connections_are_kept_on_both_sides(through, tls):
    proxy, server = through(tls)
    server.file("file", b"x")
    done = curl("-w", "%{num_connects} ", *[proxy.url("/file")] * 5)
    assert done.stdout == "x1 " + "x0 " * 4
    assert len(server.access_log(5)) == 5
    metrics = proxy.metrics()
    assert metrics.sum("curfew_connections", side="upstream_idle") == 1


@pytest.mark.parametrize("target, status", [("/missing", 404), ("/status/", 503), ("/gone", 204), ("/moved", 302)])
def test_statuses_are_passed_on(through, target, status):
    """Whatever the upstream says is its answer: the call has completed."""
    proxy, _ = through()
    done = curl("-o", "/dev/null", "-w", "%{http_code}", proxy.url(target))
    assert done.stdout == str(status)
    metrics = proxy.wait_idle()
    assert metrics.calls("completed", **{"class": f"{status // 100}xx"}) == 1 and metrics.calls("failed") == 0


def test_an_old_client(through):
    proxy, server = through()
    server.file("file", b"for HTTP/1.0")
    assert curl("--http1.0", proxy.url("/file")).stdout == "for HTTP/1.0"


def test_many_clients_at_once(through, tmp_path):
    proxy, server = through(True, pool={"size": 4, "queue": 100})
    server.file("file", random_bytes(100_000, 3))
    wanted = hashlib.sha256(random_bytes(100_000, 3)).hexdigest()
    outs = [tmp_path / f"out{n}" for n in range(30)]
    argv = ["--parallel", "--parallel-immediate", "--parallel-max", "30"]
    for out in outs:
        argv += ["-o", out, proxy.url("/file")]
    done = curl(*argv, seconds=20)
    assert done.returncode == 0, done.stderr
    assert {hashlib.sha256(out.read_bytes()).hexdigest() for out in outs} == {wanted}
    assert proxy.wait_idle().sum("curfew_pool_held_peak") <= 4


def test_nginx_that_has_died_is_refused(through):
    proxy, server = through()
    server.file("file", b"x")
    assert curl(proxy.url("/file")).stdout == "x"
    server.finish()
    done = curl("-o", "/dev/null", "-w", "%{http_code}", proxy.url("/file"))
    assert done.stdout == "502"


def test_curl_sees_a_cut_as_an_error(curfew, faulty):
    """18: a transfer that is not complete; 56: a connection that was reset."""
    api = faulty()
    proxy = curfew(url=api.url, deadline="300ms")
    for target in ("/drip/20", "/drip/20?chunked", "/half/100000", "/half/100000?chunked"):
        done = curl("-o", "/dev/null", proxy.url(target))
        assert done.returncode in (18, 56), (target, done)
