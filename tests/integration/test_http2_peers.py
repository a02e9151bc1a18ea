"""Other people's servers, proxies and clients that speak HTTP/2, around curfew: nginx, nghttpd, nghttp and h2load."""

import contextlib
import random
import socket
import subprocess

import grpc
import pytest

from harness import grpc_peers
from harness.bounds import SLOW, Stopwatch, poll
from harness.grpc_peers import CALLERS, FETCHES, Server
from harness.ports import free_port
from harness.programs import curl

languages = pytest.mark.parametrize("language", CALLERS)
DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, NOT_FOUND = 4, 8, 5
TEN_SECONDS = {"deadline": "10s"}


def printed_by(*command, seconds=60):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace", check=False, timeout=seconds)
    return done.stdout + done.stderr


def listens(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def nghttpd(directory, *options, certificates=None):
    """Its URL. It serves the files of `directory`, to POST too."""
    port = free_port()
    files = [certificates.key("server"), certificates.cert("server")] if certificates else []
    command = ["nghttpd", *options, *([] if files else ["--no-tls"]), "-a", "127.0.0.1", "-d", directory, str(port), *files]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            poll(lambda: listens(port), "nghttpd", 10 * SLOW)
            yield f"{'https' if files else 'http'}://127.0.0.1:{port}"
        finally:
            server.terminate()


# ------------------------------------------------------------------------------------ servers of files


@pytest.mark.parametrize("tls", [False, True])
def test_nghttpd(curfew, tmp_path, certificates, tls):
    (tmp_path / "x").write_bytes(bytes(500_000))
    with nghttpd(tmp_path, certificates=certificates if tls else None) as url:
        proxy = curfew(url=url, http2={"use": "always"}, **({"tls": {"ca_file": certificates.ca}} if tls else {}))
        for _ in range(20):
            assert proxy.ask("GET", "/x").content == bytes(500_000)
            assert proxy.ask("POST", "/x", content=bytes(200_000)).status == 200


@pytest.mark.parametrize("tls, streams", [(False, 1), (False, 20), (True, 1)])
def test_nginx(curfew, nginx, certificates, tmp_path, tls, streams):
    """Files, uploads and odd statuses; its windows, and its HEAD."""
    server = nginx(tls=tls, http2=True)
    content = random.Random(1).randbytes(3_000_000)
    server.file("f", content)
    proxy = curfew(url=server.url, http2={"use": "auto" if tls else "always", "streams": streams},
                   **({"tls": {"ca_file": certificates.ca, "server_name": "localhost"}} if tls else {}), **TEN_SECONDS)
    assert proxy.ask("GET", "/f").content == content
    head = proxy.ask("HEAD", "/f")
    assert (head.status, head["content-length"], head.content) == (200, str(len(content)), b"")
    (tmp_path / "up").write_bytes(content)
    for number, framing in enumerate(("X: y", "Transfer-Encoding: chunked")):
        done = curl("--fail", "--header", framing, "--upload-file", tmp_path / "up", proxy.url(f"/dav/{number}"))
        assert done.returncode == 0 and server.uploaded(str(number)) == content, done.stderr
    for target, status in (("/missing", 404), ("/status/", 503), ("/gone", 204), ("/moved", 302)):
        assert proxy.ask("GET", target).status == status
    assert proxy.ask("POST", "/small/", content=bytes(2000)).status == 413
    assert proxy.log(9)[0]["upstream_protocol"] == "h2"
    assert proxy.wait_idle().calls("failed") == 0


@pytest.mark.parametrize("streams, more", [(1, {}), (1, {"max_calls": 1000000}), (20, {}), (20, {"max_calls": 1000000})],
                         ids=["1, retired before", "1", "20, retired before", "20"])
def test_five_thousand_calls_through_an_nginx_that_ends_each_connection_at_a_thousand_lose_none(curfew, nginx, streams, more):
    server = nginx(http2=True, more="keepalive_requests 1000;")
    server.file("f", b"x" * 100)
    proxy = curfew(url=server.url, http2={"use": "always", "streams": streams, **more}, deadline="20s",
                   pool={"size": 20, "queue": 1000}, top={"workers": 1})
    for caller in (["-m", "10"], ["--h1"]):
        said = printed_by("h2load", "-n", "2500", "-c", "4", *caller, proxy.url("/f"))
        assert "2500 succeeded, 0 failed, 0 errored" in said and "2500 2xx" in said, said
    metrics = proxy.wait_idle()
    assert (metrics.calls("completed"), metrics.calls("failed")) == (5000, 0)
    server.access_log(5000)


# ------------------------------------------------------------------------------------------------ gRPC


@pytest.fixture
def server():
    one = Server()
    yield one
    one.close()


def grpc_pass(port):
    return f"location /t.T/ {{ grpc_pass grpc://127.0.0.1:{port}; client_max_body_size 0; }}"


def all_four_kinds(language, proxy):
    return [grpc_peers.call(language, proxy, f"/t.T/{method}", kind)
            for kind, method in [("unary", "Echo"), ("server", "Three"), ("client", "Count"), ("bidi", "Echo")]]


def well_answered(told):
    return [(one["code"], one["messages"]) for one in told] == [(0, 1), (0, 3), (0, 1), (0, 2)]


@languages
@pytest.mark.parametrize("streams", [1, 10])
def test_an_nginx_with_grpc_pass_is_an_api(curfew, nginx, server, language, streams):
    """curfew, nginx, a server of grpcio."""
    through = nginx(http2=True, more=grpc_pass(server.port))
    proxy = curfew(upstreams={"api": {"url": through.url, "http2": {"use": "always", "streams": streams}, **TEN_SECONDS,
                                      "routes": [{"path": "/t.T/Hang", "deadline": "800ms"}, {"path": "/t.T/After", "deadline": "800ms"}]}})
    assert well_answered(all_four_kinds(language, proxy))
    assert 0 < server.left[0] <= 10
    told = grpc_peers.call(language, proxy, "/t.T/Fail", "server")
    assert (told["code"], told["details"], told["messages"]) == (NOT_FOUND, "no such thing", 1)
    for method, kind, messages in (("Hang", "unary", 0), ("After", "server", 1)):
        told = grpc_peers.call(language, proxy, f"/t.T/{method}", kind)
        assert (told["code"], told["messages"]) == (DEADLINE_EXCEEDED, messages)
    metrics = proxy.wait_idle()
    assert metrics.calls("failed") == 0


class Before:
    """An nginx that callers talk to, as if it were curfew."""

    def __init__(self, nginx):
        self.nginx = nginx

    def address(self, _upstream=None):
        return self.nginx.address


@languages
def test_an_nginx_with_grpc_pass_is_a_caller(curfew, nginx, server, language):
    """nginx, curfew, a server of grpcio: what curfew says of a deadline and of a full pool comes through nginx."""
    keys = {**server.keys, "pool": {"size": 1, "queue": 0}}
    proxy = curfew(upstreams={"api": {**keys, **TEN_SECONDS, "routes": [{"path": "/t.T/Hang", "deadline": "800ms"},
                                                                       {"path": "/t.T/After", "deadline": "800ms"}]},
                              "held": {**keys, **TEN_SECONDS, "pool": "one"}, "full": {**keys, **TEN_SECONDS, "pool": "one"}},
                   top={"pools": {"one": {"size": 1, "queue": 0}}})
    before = Before(nginx(http2=True, more=grpc_pass(proxy.address("api")[1])))
    assert well_answered(all_four_kinds(language, before))
    for method, kind, messages in (("Hang", "unary", 0), ("After", "server", 1)):
        told = grpc_peers.call(language, before, f"/t.T/{method}", kind)
        assert (told["code"], told["messages"]) == (DEADLINE_EXCEEDED, messages), told
    full = Before(nginx(http2=True, more=grpc_pass(proxy.address("full")[1])))
    with grpc.insecure_channel("%s:%d" % proxy.address("held")) as channel:
        held = channel.unary_unary("/t.T/Hang").future(b"one")
        proxy.wait_in_flight(1)
        assert grpc_peers.call(language, full, "/t.T/Echo")["code"] == RESOURCE_EXHAUSTED
        held.cancel()
    proxy.wait_idle()


@languages
def test_an_nghttpd_that_answers_as_grpc_does(curfew, tmp_path, language):
    """A file with a message in it, and grpc-status in trailers."""
    (tmp_path / "t.T").mkdir()
    (tmp_path / "t.T" / "Method.grpc").write_bytes(b"\0\0\0\0\5hello\0\0\0\0\0")
    (tmp_path / "types").write_text("application/grpc grpc\n")
    with nghttpd(tmp_path, "--trailer", "grpc-status: 5", "--trailer", "grpc-message: none", f"--mime-types-file={tmp_path}/types") as url:
        proxy = curfew(url=url, http2={"use": "always"}, **TEN_SECONDS)
        told = grpc_peers.call(language, proxy, "/t.T/Method.grpc", "server")
        assert (told["code"], told["details"], told["messages"]) == (NOT_FOUND, "none", 2)
        proxy.wait_metric("curfew_grpc_completed_total", 1, code="5")


# --------------------------------------------------------------------------------------------- callers


@pytest.mark.parametrize("options", [(), ("--continuation",), ("-b", "200"), ("--no-dep",), ("-w", "14", "-W", "14"), ("-c", "0"), ("--no-content-length",),
                                     ("--expect-continue",), ("--trailer", "x-sum: 1")], ids=" ".join)
def test_nghttp(curfew, nginx, tmp_path, options):
    """Content goes there and back: padded, in CONTINUATION frames, by small windows, without a table, with trailers."""
    server = nginx(more="large_client_header_buffers 8 64k;")
    content = random.Random(2).randbytes(400_000)
    (tmp_path / "up").write_bytes(content)
    server.file("f", content)
    proxy = curfew(url=server.url, **TEN_SECONDS)
    done = subprocess.run(["nghttp", *options, "-H", ":method: PUT", "-d", tmp_path / "up", proxy.url("/dav/up")],
                          capture_output=True, check=False, timeout=60)
    assert done.returncode == 0 and server.uploaded("up") == content, done
    download = [option for option in options if option not in ("--no-content-length", "--expect-continue", "--trailer", "x-sum: 1")]
    done = subprocess.run(["nghttp", *download, proxy.url("/f")], capture_output=True, check=False, timeout=60)
    assert done.stdout == content
    metrics = proxy.wait_idle()
    assert (metrics.calls("completed"), metrics.calls("started")) == (2, 2)


@pytest.mark.parametrize("path", ["/drip/50", "/half/1000", "/half/1000?chunked"])
def test_nghttp_and_h2load_take_no_cut_for_a_whole_response(curfew, faulty, path):
    proxy = curfew(upstreams={"api": {"url": faulty().url, "deadline": "500ms"}})
    assert "Some requests were not processed" in printed_by("nghttp", "-n", proxy.url(path))
    said = printed_by("h2load", "-n", "6", "-c", "2", "-m", "3", proxy.url(path))
    assert "0 succeeded, 6 failed" in said, said
    assert proxy.wait_idle().calls("completed") == 0


@pytest.mark.parametrize("language", FETCHES)
def test_go_and_fetch_take_no_cut_for_a_whole_response(curfew, faulty, certificates, language):
    keys = {"listen_tls": "127.0.0.1:0", "caller_tls": {"cert_file": certificates.cert("server"), "key_file": certificates.key("server")}}
    proxy = curfew(upstreams={"api": {**keys, "url": faulty().url, "deadline": "600ms"}})
    url = "https://localhost:%d" % proxy.address("api", 1)[1]
    for path, expected in (("/bytes/1000", (200, 1000)), ("/chunked/300000", (200, 300000)), ("/status/404", (404, None)), ("/stuck", (504, None))):
        told = FETCHES[language](url + path, certificates.ca)
        assert (told["status"], told["whole"]) == (expected[0], True) and expected[1] in (None, told["bytes"]), told
    for path in ("/drip/50", "/half/1000", "/half/1000?chunked", "/half/0?chunked"):
        told = FETCHES[language](url + path, certificates.ca)
        assert not told["whole"], (path, told)
    assert all(line["caller_protocol"] == "h2" for line in proxy.log(8))


def test_a_deadline_is_an_answer_to_nghttp_and_its_connection_goes_on(curfew, faulty):
    proxy = curfew(upstreams={"api": {"url": faulty().url, "deadline": "400ms"}})
    watch = Stopwatch()
    said = printed_by("nghttp", "-v", "-n", proxy.url("/stuck"), proxy.url("/ok"))
    assert ":status: 504" in said and ":status: 200" in said and "RST_STREAM" not in said, said
    assert watch.elapsed() < 5
