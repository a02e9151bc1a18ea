"""`curfew faulty --http2`: each path does over HTTP/2 what it does over HTTP/1.1, and some do what HTTP/2 alone can."""

import subprocess

import pytest

from harness.bounds import readable
from harness.h2 import DATA
from harness.h2_caller import CANCEL, INTERNAL_ERROR, PING, REFUSED_STREAM, H2Caller
from harness.wire import Cut

SETTINGS_STREAMS, SETTINGS_WINDOW = 3, 4
PATTERN = bytes(range(ord("0"), ord("9") + 1)) + bytes(range(ord("A"), ord("Z") + 1)) + bytes(range(ord("a"), ord("z")))


@pytest.fixture
def api(faulty):
    made = []

    def make(*options, **more):
        server = faulty("--http2", *options, **more)
        made.append(H2Caller(server.address))
        return server, made[-1]

    yield make
    for caller in made:
        caller.close()


@pytest.mark.parametrize("path,status,content", [
    ("/ok", 200, b"ok\n"), ("/bytes/0", 200, b""), ("/bytes/100000", 200, None), ("/chunked/100000", 200, None), ("/status/503", 503, b"status 503\n"),
    ("/status/204", 204, b""), ("/close", 200, b"ok\n"), ("/close?bytes=70000", 200, None), ("/http10", 200, b"ok\n"), ("/nothing", 404, None),
    ("/delay/30", 200, b"ok\n"), ("/drip/1?bytes=9", 200, None), ("/drip/1?bytes=9&chunked", 200, None), ("/headdrip/1", 200, b"ok\n"),
])
def test_a_path_answers_as_over_http1(api, path, status, content):
    server, caller = api()
    answer = caller.ask2("GET", path)
    assert answer.status == status and answer.ended and answer.reset is None
    if content is not None:
        assert answer.content == content
    elif "bytes" in path or "chunked/" in path:
        assert answer.content[:36] == PATTERN[:36][:len(answer.content)] and len(answer.content) in (9, 70000, 100000)
    assert caller.ask2("GET", "/ok").status == 200
    assert server.stats()["in_work"] == 0


def test_both_protocols_on_one_listener(api):
    server, caller = api()
    assert server.stats()["requests_total"] == 0
    assert caller.ask2("POST", "/ok", content=bytes(300_000)).status == 200
    stats = server.stats()
    assert (stats["requests_total"], stats["responses_total"]) == (1, 1)


@pytest.mark.parametrize("authority", ["curfew", None])
def test_host_may_stand_in_the_place_of_the_authority_or_beside_it(api, authority):
    """HAProxy does that now and then."""
    _, caller = api()
    assert caller.ask2("GET", "/ok", ("host", "curfew"), authority=authority).status == 200


def test_streams_run_beside_each_other(api):
    server, caller = api()
    stuck = [caller.begin("GET", "/stuck") for _ in range(10)]
    assert caller.ask2("GET", "/bytes/1000000").ended
    assert server.stats()["in_work"] == 10
    for stream in stuck:
        caller.reset_stream(stream)
    server.wait_stats(lambda stats: stats["in_work"] == 0 and stats["gone_total"] == 10, "all have gone")


def test_trailers_and_interim_responses(api):
    _, caller = api()
    assert caller.ask2("GET", "/trailers").trailers == [("x-checksum", "12345678"), ("x-count", "1")]
    assert len(caller.ask2("GET", "/hints").interims) == 1
    answer = caller.ask2("GET", "/hints/200")
    assert len(answer.interims) == 200 and answer.status == 200


@pytest.mark.parametrize("path,code,content", [("/rst/8", CANCEL, 0), ("/rst/0", 0, 0), ("/rst/4294967295", 4294967295, 0), ("/rst/2?bytes=10", 2, 11),
                                               ("/reset", INTERNAL_ERROR, 0), ("/half/100", INTERNAL_ERROR, 50), ("/half/100?chunked", INTERNAL_ERROR, 50)])
def test_resets(api, path, code, content):
    _, caller = api()
    answer = caller.ask2("GET", path)
    assert (answer.reset, len(answer.content), answer.ended) == (code, content, False)
    assert caller.ask2("GET", "/ok").status == 200


def test_garbage_is_no_frame_and_ends_the_connection(api):
    _, caller = api()
    caller.begin("GET", "/garbage")
    with pytest.raises((Cut, IndexError, ValueError, AssertionError)):
        while True:
            caller.step()


def test_the_first_requests_are_refused(api):
    _, caller = api()
    assert [caller.ask2("GET", "/refuse/2").reset for _ in range(2)] == [REFUSED_STREAM] * 2
    assert caller.ask2("GET", "/refuse/2").status == 200
    assert caller.ask2("GET", "/refuse/2?key=x").reset == REFUSED_STREAM


def test_goaway_below_the_request_and_at_it(api):
    _, caller = api()
    assert caller.ask2("GET", "/last/11").status == 200
    caller.until(lambda: caller.goaways)
    assert caller.goaways == [(1, 11)]
    stream = caller.begin("GET", "/goaway/1?down=2")
    caller.until(lambda: len(caller.goaways) == 2)
    assert caller.goaways[1] == (1, 2) and caller.answer_to(stream).status is None
    assert caller.ask2("GET", "/goaway/1?down=2").status == 200


def test_a_connection_ends_after_so_many_requests(api):
    _, caller = api("--h2-goaway", "3")
    assert [caller.ask2("GET", "/ok").status for _ in range(3)] == [200] * 3
    caller.recv_to_end()
    assert [last for last, _ in caller.goaways] == [5]


def test_settings_say_what_options_say(api):
    _, caller = api("--h2-streams", "0", "--h2-window", "7")
    caller.until(lambda: caller.settings)
    assert (caller.settings[SETTINGS_STREAMS], caller.settings[SETTINGS_WINDOW]) == (0, 7)


def test_settings_that_never_come_and_pings_that_are_not_answered(api):
    _, caller = api("--h2-no-settings", "--h2-no-pongs")
    caller.put(PING, payload=b"12345678")
    assert caller.ask2("GET", "/bytes/100000").status == 200
    assert not caller.settings and caller.pongs == 0
    _, caller = api()
    caller.put(PING, payload=b"12345678")
    assert caller.ask2("GET", "/ok").status == 200 and caller.settings and caller.pongs == 1


def test_deaf_answers_nothing_more(api):
    server, caller = api()
    caller.begin("GET", "/deaf")
    server.wait_stats(lambda stats: stats["in_work"] == 1, "it has been read")
    stream = caller.begin("GET", "/ok")
    caller.put(PING, payload=b"12345678")
    while caller.has_bytes() or readable(caller.sock, 0.1):  # what was sent before
        caller.step()
    assert caller.pongs == 0 and caller.answer_to(stream).status is None
    assert server.stats()["requests_total"] == 1


def test_answers_of_grpc(api):
    _, caller = api()
    answer = caller.ask2("POST", "/grpc/5?bytes=2", content=b"x")
    assert (answer.content, answer.trailers) == (b"\0\0\0\0\x0201", [("grpc-status", "5"), ("grpc-message", "faulty")])
    assert caller.ask2("POST", "/grpc-half/0", content=b"x").content == b"\0\0\0\0\x06012"
    only = caller.ask2("POST", "/grpc-only/7", content=b"x")
    assert only["grpc-status"] == "7" and only.trailers is None and only.content == b""
    stream = caller.begin("POST", "/grpc-drip/1")
    caller.until(lambda: len(caller.answer_to(stream).content) >= 24)
    caller.reset_stream(stream)


def test_over_tls_alpn_chooses(faulty, curfew, tmp_path):
    ca = tmp_path / "ca.pem"
    server = faulty("--http2", "--tls", "--ca-out", str(ca), tls=True)
    keys = {"url": server.url.replace("127.0.0.1", "localhost"), "tls": {"ca_file": str(ca)}}
    proxy = curfew(upstreams={"two": {**keys, "http2": {"use": "always"}}, "one": keys})
    assert proxy.ask("GET", "/refuse/1", upstream="two").status == 200
    assert proxy.ask("GET", "/refuse/1?key=1", upstream="one").status == 505


def test_behind_curfew_what_was_not_processed_goes_again(api, curfew):
    server, _ = api()
    proxy = curfew(url=server.url, http2={"use": "always"})
    for path in ("/refuse/1", "/goaway/1"):
        assert proxy.ask("POST", path, content=b"x").status == 200
        assert proxy.ask("POST", path.replace("1", "2"), content=b"x").status == 502
    assert proxy.ask("GET", "/rst/8").status == 502
    assert proxy.ask("GET", "/garbage").status == 502
    metrics = proxy.wait_idle()
    assert metrics.calls("completed") == 2 and metrics.calls("failed") == 4


@pytest.mark.parametrize("streams", [1, 20])
def test_behind_curfew_no_call_is_lost_when_connections_end(api, curfew, streams):
    """By GOAWAY after each 50 requests, as nginx ends one after 1000."""
    server, _ = api("--h2-goaway", "50")
    proxy = curfew(url=server.url, deadline="20s", http2={"use": "always", "max_calls": 1000000, "streams": streams}, pool={"size": 20, "queue": 1000})
    done = subprocess.run(["h2load", "-n", "2000", "-c", "2", "-m", "10", proxy.url("/ok")], capture_output=True, text=True, check=False, timeout=60)
    assert "2000 succeeded, 0 failed, 0 errored" in done.stdout, done.stdout + done.stderr
    metrics = proxy.wait_idle()
    assert metrics.calls("completed") == 2000 and server.stats()["connections_total"] >= 40


@pytest.mark.parametrize("path", ["/goaway/1", "/last/0", "/deaf", "/rst/8", "/refuse/1"])
def test_a_request_whose_connection_has_gone_is_answered_to_nobody(api, path):
    """What ends the connection comes right behind it."""
    server, caller = api()
    assert caller.ask2("GET", "/ok").status == 200
    with server.process.paused():
        caller.begin("GET", path)
        caller.put(DATA, payload=b"on no stream")
    caller.recv_to_end()
    other = H2Caller(server.address)
    assert other.ask2("GET", "/ok").status == 200
    other.close()
