"""The SDKs of OpenAI, Anthropic and Stripe (npm), through curfew: by base URL, and by HTTPS_PROXY; what they make of its cuts and answers."""

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from harness.bounds import SLOW, SOON, poll
from harness.process import PEERS

# What these programs make of answers; the same bytes come from quicker ones under sanitizers.
pytestmark = pytest.mark.sound_only

CLIENT = Path(__file__).resolve().parents[1] / "sdk/client.mjs"
MODULES = PEERS / "sdk" / "node_modules"
SDKS = ("openai", "anthropic", "stripe")
EVENTS = {
    "openai": lambda text: f'data: {{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}\n\n',
    "anthropic": lambda text: "event: ping\ndata: {\"type\":\"ping\"}\n\nevent: content_block_delta\n"
                              f'data: {{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}\n\n',
    "stripe": lambda text: text}
BEGIN = {"openai": "", "anthropic": "", "stripe": '{"id":"cus_ok","object":"customer","name":"'}
END = {"openai": "data: [DONE]\n\n", "anthropic": 'event: message_stop\ndata: {"type":"message_stop"}\n\n', "stripe": '"}'}
WHOLE = {"openai": '{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"well"}}]}',
         "anthropic": '{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"well"}],"stop_reason":"end_turn","usage":{}}',
         "stripe": '{"id":"cus_ok","object":"customer","name":"well"}'}

TIMEOUT = {"openai": "InternalServerError", "anthropic": "GatewayTimeoutError", "stripe": "StripeAPIError"}


class Apis:
    """An API of each SDK; the model, or the last part of a path's id, says how it answers: ok, stall, hang, or a status."""

    def __init__(self):
        self.asked, self.freed = [], threading.Event()

    def script(self, exchange):
        request = exchange.recv_request()
        question = json.loads(request.content) if request.method == "POST" else {}
        sdk = {"/v1/messages": "anthropic", "/v1/chat/completions": "openai"}.get(request.target, "stripe")
        what = question.get("model") or request.target.split("_")[-1]
        self.asked.append(what)
        if what.isdigit():
            exchange.answer(int(what), "Content-Type: application/json", content=b'{"error": {"message": "not now", "type": "api_error"}}')
        elif question.get("stream") or "_slow_" in request.target:
            self._stream(exchange, sdk, what)
        else:
            if what == "hang":
                self.freed.wait(SOON * 4)
            exchange.answer(200, "Content-Type: application/json", content=WHOLE[sdk].encode())

    def _stream(self, exchange, sdk, what):
        kind = "application/json" if sdk == "stripe" else "text/event-stream"
        exchange.send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        first, second, third = (EVENTS[sdk](text) for text in "abc")
        pieces = [BEGIN[sdk] + first, second]
        for piece in pieces if what == "stall" else [*pieces, third + END[sdk]]:
            exchange.send(b"%x\r\n%s\r\n" % (len(piece), piece.encode()))
        if what == "stall":
            exchange.wait_ended(SOON * 4)
        else:
            exchange.send(b"0\r\n\r\n")


@pytest.fixture
def apis():
    made = Apis()
    yield made
    made.freed.set()


def start(sdk, url, retries, *cases, **env):
    if not MODULES.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{MODULES}: npm could not fetch it")
    inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.Popen(["node", CLIENT, MODULES, sdk, url, str(retries), *cases], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**inherited, **env})


def finish(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out)


def through(proxy):
    host, port = proxy.address()
    return f"http://{host}:{port}"


@pytest.mark.parametrize("sdk", SDKS)
def test_answers_and_streams_come_whole_and_cuts_are_errors(curfew, upstream, apis, sdk):
    up = upstream(apis.script)
    limit = f"{500 * SLOW:g}ms"
    proxy = curfew(upstreams={"api": {"url": up.url, "deadline": f"{2000 * SLOW:g}ms", "timeouts": {"first_byte": limit, "idle": limit},
                                      "streams": {"deadline": "60s", "first_event": limit, "idle": limit}}})
    whole, stream, stalled, hung = finish(start(sdk, through(proxy), 0, "whole:ok", "stream:ok", "stream:stall", "whole:hang"))
    assert (whole["text"], whole["error"]) == ("well", None)
    assert (stream["text"], stream["error"]) == ("abc", None)
    assert stalled["text"] == ("" if sdk == "stripe" else "ab") and stalled["error"] is not None, stalled
    assert hung["error"]["status"] == 504
    assert hung["error"]["class"] == TIMEOUT[sdk]
    assert apis.asked == ["ok", "ok", "stall", "hang"]
    assert [line["outcome"] for line in proxy.log(4)] == ["completed", "completed", "stuck", "stuck"]
    assert {line["cause"] for line in proxy.log(4)[2:]} == {"idle_timeout", "first_byte_timeout"}


@pytest.mark.parametrize("sdk", SDKS)
def test_what_curfew_has_retried_an_sdk_does_not(curfew, upstream, apis, sdk):
    """Two retries of the SDK's own and two tries here are two requests, and not six."""
    up = upstream(apis.script)
    proxy = curfew(upstreams={"api": {"url": up.url, "deadline": "20s", "retries": {
        "attempts": 2, "when": ["503"], "say": True, "repeat": {"methods": ["GET", "POST"]}, "backoff": {"base": "1ms", "max": "1ms"}}}})
    told, = finish(start(sdk, through(proxy), 2, "whole:503"))
    assert told["error"]["status"] == 503
    assert apis.asked == ["503", "503"]
    assert len(proxy.log()) == 1


@pytest.mark.parametrize("sdk", SDKS)
def test_after_a_refusal_an_sdk_asks_again(curfew, upstream, apis, sdk):
    up = upstream(apis.script)
    proxy = curfew(upstreams={"api": {"url": up.url, "deadline": "60s", "pool": {"size": 1, "queue": 0}}})
    holder = proxy.caller()
    holder.request("GET", "/v1/customers/cus_hang")
    proxy.wait_in_flight(1, phase="wait")
    client = start(sdk, through(proxy), 2, "whole:ok")
    poll(lambda: proxy.metrics().sum("curfew_calls_rejected_total", reason="queue_full") >= 1, "a refusal", SOON * 2)
    apis.freed.set()
    assert holder.recv_response().status == 200
    told, = finish(client)
    assert (told["text"], told["error"]) == ("well", None)
    assert apis.asked == ["hang", "ok"]


@pytest.mark.parametrize("sdk", SDKS)
def test_by_https_proxy_an_sdk_goes_through_a_tunnel(curfew, upstream, certificates, apis, sdk):
    up = upstream(apis.script, tls=certificates.server())
    port = int(up.url.rsplit(":", 1)[1])
    proxy = curfew(upstreams={}, top={"forward": {"egress": {
        "listen": "127.0.0.1:0", "ports": port, "destinations": [{"name": "api", "hosts": "localhost", "addresses": ["127.0.0.0/8", "::1"]}]}}})
    env = {"HTTPS_PROXY": through(proxy), "NODE_EXTRA_CA_CERTS": certificates.ca}
    whole, stream = finish(start(sdk, f"https://localhost:{port}", 0, "whole:ok", "stream:ok", **env))
    assert (whole["text"], whole["error"], stream["text"], stream["error"]) == ("well", None, "abc", None)
    tunnels = proxy.wait_idle().sum("curfew_tunnels_ended_total", upstream="egress")
    line = proxy.log(int(tunnels))[0]
    assert (line["destination"], line["host"], line["sni"], line["end"]) == ("api", "localhost", "localhost", "caller")
    refused, = finish(start(sdk, "https://other.test", 0, "whole:ok", **env))
    assert refused["error"] is not None and refused["error"]["status"] is None
    assert proxy.metrics().sum("curfew_forward_refused_total", reason="no_destination") >= 1
