"""`curfew explain`: what it says of a request, and that the proxy does what it says."""

import json
import re

import pytest

from harness.curfew import curfew_command
from harness.problem import proxy_error

CONFIG = """\
defaults: {deadline: 3s, timeouts: {connect: 700ms}}
pools:
  reports: {size: 5, queue: 20}
upstreams:
  payments:
    listen: ["127.0.0.1:8080", "unix:/run/payments.sock"]
    url: https://api.example.com/v2
    deadline: 2s
    timeouts: {first_byte: 1500ms}
    pool: {size: 50, queue: 100, queue_timeout: 500ms}
    caller_deadline: {headers: [X-Timeout-Ms, grpc-timeout], forward: X-Left-Ms}
    headers:
      set: {Authorization: Bearer secret}
      remove: [Cookie]
    routes:
      - {path: /reports, methods: [POST], deadline: 30s, pool: reports}
      - {path: /status, deadline: 500ms}
  mail:
    listen: 0.0.0.0:8081
    url: http://127.0.0.1:9000
"""

GOLDEN_REPORTS = """\
request     POST /reports/7?x=1
upstream    payments (upstreams.payments, FILE:5), by its listener 127.0.0.1:8080
API         https://api.example.com/v2
route       POST /reports
deadline    1.2s, from the first byte of the request (the caller's; 30s is upstreams.payments.routes[0].deadline, FILE:16)
            a caller may shorten it by X-Timeout-Ms, grpc-timeout
pool        reports: 5 calls at once, 20 may wait (upstreams.payments.routes[0].pool, FILE:16)
limits      within the deadline
  connect       700ms (defaults.timeouts.connect, FILE:1)
  first_byte    1.5s, so the deadline comes first (upstreams.payments.timeouts.first_byte, FILE:9)

The API gets
  POST /v2/reports/7?x=1 HTTP/1.1
  Host: api.example.com
  X-More: 1
  Authorization: …
  X-Left-Ms: 1200 at most: what is left when it is sent
and of what the caller sends never Authorization, Cookie, X-Timeout-Ms, grpc-timeout, X-Left-Ms

If it goes wrong, the caller gets (status, Proxy-Status error, when)
  504  http_response_timeout              The deadline of the call has passed (in upload)
  504  connection_limit_reached           The deadline of the call has passed (in queue)
  504  dns_timeout                        The deadline of the call has passed (in dns)
  504  connection_timeout                 The deadline of the call has passed (in connect, tls)
  504  http_response_timeout              The deadline of the call has passed (in send, wait, receive)
  504  dns_timeout                        Connecting to the upstream took too long (in dns)
  504  connection_timeout                 Connecting to the upstream took too long (in connect, tls)
"""

GOLDEN_MAIL = """\
request     GET /
upstream    mail (upstreams.mail, FILE:18), by its listener 0.0.0.0:8081
API         http://127.0.0.1:9000
route       default
deadline    3s, from the first byte of the request (defaults.deadline, FILE:1)
pool        mail: 50 calls at once, 100 may wait (the default)
limits      within the deadline
  connect       700ms (defaults.timeouts.connect, FILE:1)

The API gets
  GET / HTTP/1.1
  Host: 127.0.0.1:9000

If it goes wrong, the caller gets (status, Proxy-Status error, when)
  504  http_response_timeout              The deadline of the call has passed (in upload)
  504  connection_limit_reached           The deadline of the call has passed (in queue)
  504  connection_timeout                 The deadline of the call has passed (in connect)
  504  http_response_timeout              The deadline of the call has passed (in send, wait, receive)
  504  connection_timeout                 Connecting to the upstream took too long (in connect)
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "curfew.yaml"
    path.write_text(CONFIG)
    return path


def explain(config, *args):
    """Exit status, standard output with FILE for the configuration's path, standard error."""
    done = curfew_command("explain", "-c", config, *args)
    return done.returncode, done.stdout.replace(str(config), "FILE"), done.stderr


# -------------------------------------------------------------------------------- golden


def test_a_route_of_its_own_with_a_deadline_of_the_callers(config):
    status, out, err = explain(config, "-H", "X-Timeout-Ms: 1200", "-H", "Cookie: a=b", "-H", "X-More: 1", "POST",
                               "http://127.0.0.1:8080/reports/7?x=1#part")
    assert (status, err) == (0, "")
    assert out.startswith(GOLDEN_REPORTS), out
    assert "secret" not in out
    for line in ("  503  connection_limit_reached           All permits are held and the queue is full\n",
                 "  502  tls_certificate_error              The upstream's certificate is not trusted\n",
                 "  502  dns_error                          The upstream's name does not resolve\n",
                 "  400  http_request_error                 The caller's deadline can't be read\n"):
        assert line in out
    assert "No permit became free in time" not in out  # its pool has no queue_timeout


def test_an_upstream_by_plain_http_that_has_the_defaults(config):
    status, out, err = explain(config, "GET", "http://localhost:8081")
    assert (status, err) == (0, "")
    assert out.startswith(GOLDEN_MAIL), out
    assert "dns_" not in out and "tls_" not in out and "caller's deadline" not in out


def test_calls_that_share_a_connection(tmp_path):
    file = tmp_path / "curfew.yaml"
    file.write_text("upstreams: {a: {listen: 127.0.0.1:8080, url: 'http://127.0.0.1:9', http2: {use: always, streams: 20}}}\n")
    status, out, _ = explain(file, "GET", "http://127.0.0.1:8080/x")
    assert status == 0
    assert ("API         http://127.0.0.1:9, by HTTP/2\n"
            "            20 calls at once on a connection if it is HTTP/2 and the API allows it: 3 connections for the 50 of the pool, "
            "and at most one more for each worker\n") in out


# ------------------------------------------------------------------------- whose call it is


@pytest.mark.parametrize("args, upstream, path", [
    (["GET", "http://127.0.0.1:8080/x"], "payments", "/x"),
    (["GET", "http://192.0.2.1:8081/x"], "mail", "/x"),
    (["GET", "https://api.example.com/v2/x?y"], "payments", "/x?y"),
    (["GET", "https://API.example.com:443/v2"], "payments", "/"),
    (["GET", "http://127.0.0.1:9000/x"], "mail", "/x"),
    (["-u", "mail", "GET", "/x"], "mail", "/x"),
    (["--upstream", "payments", "GET", "http://elsewhere.test/x"], "payments", "/x"),
    (["-u", "payments", "OPTIONS", "*"], None, None),
])
def test_the_url_says_whose_call_it_is(config, args, upstream, path):
    status, out, err = explain(config, *args)
    if upstream is None:
        assert status == 1 and "begins with http://" in err
        return
    assert (status, err) == (0, "")
    assert f"request     GET {path}\nupstream    {upstream} " in out


@pytest.mark.parametrize("args, told", [
    (["GET", "/x"], "a path alone does not say whose it is; choose one by --upstream: payments mail"),
    (["GET", "http://127.0.0.1:1/x"], "no upstream listens there or leads there; choose one by --upstream: payments mail"),
    (["GET", "https://api.example.com/v22"], "no upstream listens there"),
    (["GET", "http:///x"], "the URL has no host"),
    (["-u", "mial", "GET", "/x"], 'there is no upstream "mial"; did you mean "mail"?'),
])
def test_when_it_is_nobodys_that_is_said(config, args, told):
    status, out, err = explain(config, *args)
    assert (status, out) == (1, "") and told.replace('"mail"?', "mail").rstrip("?") in err.replace('"mail"?', "mail"), err


@pytest.mark.parametrize("args, told", [
    (["-u", "mail", "-H", "Content-Length: 1, 2", "GET", "/"], "refused     400 http_request_error: The request is not valid HTTP"),
    (["-u", "mail", "CONNECT", "/"], "refused     405 http_request_error: The method is not allowed here"),
    (["-u", "payments", "-H", "X-Timeout-Ms: soon", "GET", "/"], "refused     400 http_request_error: The caller's deadline"),
    (["-u", "mail", "-H", "X-Long: " + 40000 * "x", "GET", "/"], "refused     431 http_request_error: The request head is too large"),
])
def test_what_would_be_refused(config, args, told):
    status, out, err = explain(config, *args)
    assert (status, err) == (1, "") and told in out and "The API gets" not in out


@pytest.mark.parametrize("args", [[], ["-c", "x"], ["-c", "x", "GET"], ["-c", "x", "GET", "/", "more"], ["GET", "/"],
                                  ["-c", "x", "--surf", "GET", "/"]])
def test_wrong_usage(args):
    done = curfew_command("explain", *args)
    assert done.returncode == 2 and done.stdout == "" and "usage: curfew explain" in done.stderr


def test_a_configuration_that_is_not_sound(config):
    config.write_text("upstreams: {a: {}}\n")
    status, out, err = explain(config, "GET", "/")
    assert (status, out) == (1, "") and "upstreams.a.url: is missing" in err


# ------------------------------------------------------------------- what really happens


def fields_of(out):
    """The labelled lines of an explanation."""
    return {match[1]: match[2] for match in re.finditer(r"^([a-zA-Z]+) +(.*)$", out, re.M)}


def in_ms(duration):
    number, unit = re.fullmatch(r"([0-9.]+)(ms|s|m|h)", duration).groups()
    return round(float(number) * {"ms": 1, "s": 1000, "m": 60000, "h": 3600000}[unit])


def head_of(out):
    """The head that the API is said to get, line by line; of what only the moment decides, the name."""
    lines = out.split("The API gets\n")[1].split("\n\n")[0].splitlines()
    return [mask(line[2:]) for line in lines if line.startswith("  ")]


def mask(line):
    return line.split(":")[0] if line.startswith(("Authorization:", "X-Left-Ms:")) else line


def answers_of(out):
    """(status, error, title, phases) of each failure."""
    row = re.compile(r"^  (\d{3})  (\w+) +(.*?)(?: \(in (.*)\))?$", re.M)
    return [(int(m[1]), m[2], m[3], m[4].split(", ") if m[4] else []) for m in row.finditer(out)]


ROUTES = [
    {"path": "/", "methods": ["DELETE"], "deadline": "4s", "pool": {"size": 3}},
    {"path": "/a", "deadline": "500ms"},
    {"path": "/a/b", "pool": {"size": 2, "queue": 7}},
    {"path": "/a/b/c", "methods": ["POST", "PUT"], "deadline": "700ms", "pool": "shared"},
    {"path": "/a/b/c", "methods": ["GET"], "timeouts": {"first_byte": "300ms"}},
    {"path": "/%61", "deadline": "800ms"},
]


@pytest.fixture
def both(curfew, upstream):
    up = upstream()
    proxy = curfew(
        top={"pools": {"shared": {"size": 4}}},
        upstreams={"plain": {"url": up.url, "deadline": "1500ms"},
                   "telling": {"url": up.url, "deadline": "1500ms", "headers": {"forwarded": "x-forwarded", "via": True}},
                   "rfc7239": {"url": up.url, "deadline": "1500ms", "headers": {"forwarded": "rfc7239"}},
                   "api": {"url": f"{up.url}/base", "deadline": "2s", "routes": ROUTES,
                           "headers": {"set": {"Authorization": "Bearer secret"}, "remove": ["Cookie", "X-B"]},
                           "caller_deadline": {"headers": ["X-Timeout-Ms", "grpc-timeout"], "forward": "X-Left-Ms"}}})
    return proxy, up


@pytest.mark.parametrize("name, method, target, lines", [
    ("api", "GET", "/", []), ("api", "DELETE", "/", []), ("api", "DELETE", "/a", []), ("api", "GET", "/a", []),
    ("api", "GET", "/a/", []), ("api", "GET", "/a?b", []), ("api", "GET", "/ab", []), ("api", "GET", "/a/b", []),
    ("api", "GET", "/a/bb", []), ("api", "GET", "/a/b/c", []), ("api", "POST", "/a/b/c/d?e=/f", []),
    ("api", "PUT", "/a/b/c", []), ("api", "HEAD", "/a/b/c", []), ("api", "get", "/a/b/c", []), ("api", "GET", "/%61", []),
    ("api", "GET", "//a", []), ("api", "GET", "/a/../x", []),
    ("api", "GET", "/", ["X-Timeout-Ms: 900"]), ("api", "GET", "/", ["grpc-timeout: 1S", "X-Timeout-Ms: 1100"]),
    ("api", "GET", "/a", ["X-Timeout-Ms: 900"]),
    ("api", "GET", "/", ["Cookie: a", "X-B: 1", "X-C: 2", "Connection: X-C, keep-alive", "Via: 1.1 other",
                         "X-Forwarded-For: 192.0.2.7", "Authorization: mine"]),
    ("plain", "GET", "/a/b/c", ["X-Timeout-Ms: 900"]), ("plain", "DELETE", "/", []),
    ("telling", "GET", "/", []), ("telling", "GET", "/", ["X-Forwarded-For: 192.0.2.7", "X-Forwarded-Host: a", "Via: 1.0 b"]),
    ("rfc7239", "GET", "/", ["Forwarded: for=a", "X-Forwarded-For: 192.0.2.7"]),
])
def test_the_proxy_does_what_explain_says(both, name, method, target, lines):
    proxy, up = both
    status, out, _ = explain(proxy.config, "-u", name, *[arg for line in lines for arg in ("-H", line)], method, target)
    assert status == 0, out
    told = fields_of(out)
    caller = proxy.caller(name)
    caller.send("\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "\r\n"]).encode())
    exchange, request = up.take()
    exchange.answer(204)
    caller.recv_response(method)
    line, = proxy.log(1)
    assert line["upstream"] == told["upstream"].split()[0] == name
    assert line["route"] == told["route"]
    assert line["budget_ms"] == in_ms(told["deadline"].split(",")[0])
    acquired = {pool: proxy.metrics().sum("curfew_pool_acquired_total", pool=pool)
                for pool in ("plain", "telling", "rfc7239", "api", "api/", "api/a/b", "shared")}
    assert [pool for pool, count in acquired.items() if count] == [told["pool"].split(":")[0]]
    assert [mask(each) for each in request.raw_head.decode().split("\r\n") if each] == head_of(out)


def test_the_caller_gets_what_explain_says(curfew, upstream, deaf_listener):
    up = upstream()
    keys = {"url": up.url, "deadline": "300ms", "pool": {"size": 1, "queue": 1, "queue_timeout": "100ms"}}
    proxy = curfew(upstreams={"api": keys, "deaf": {**keys, "url": deaf_listener.url}})

    def must_be_told(name, response, phase=None):
        answers = answers_of(explain(proxy.config, "-u", name, "GET", "/")[1])
        title = json.loads(response.content)["title"]
        assert [(status, error) for status, error, when, phases in answers
                if when == title and (phase in phases if phases else True)] == [(response.status, proxy_error(response))]

    first, second = proxy.caller("api"), proxy.caller("api")
    first.request("GET", "/")
    exchange, _ = up.take()
    second.request("GET", "/")
    proxy.wait_metric("curfew_pool_waiting", 1, pool="api")
    must_be_told("api", proxy.ask("GET", "/", upstream="api"))
    must_be_told("api", second.recv_response())
    must_be_told("api", first.recv_response(), "wait")
    exchange.wait_ended()
    must_be_told("deaf", proxy.ask("GET", "/", upstream="deaf"), "connect")
    first.request("GET", "/")
    up.take()[0].reset()
    must_be_told("api", first.recv_response())
    first.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"nonsense\r\n\r\n")
    must_be_told("api", first.recv_response())


def test_what_is_observed_cuts_nothing(tmp_path):
    config = tmp_path / "curfew.yaml"
    config.write_text(CONFIG.replace("deadline: 2s\n", "deadline: 2s\n    observe: true\n    observe_ceiling: 10s\n"))
    done = curfew_command("explain", "-c", config, "GET", "http://127.0.0.1:8080/x")
    assert done.returncode == 0, done.stderr
    assert "            and observed: what passes it, or a limit, is counted and goes on for 10s at most (upstreams.payments.observe, " \
        f"{config}:9)\n" in done.stdout
    assert "  X-Left-Ms: 10000 at most" in done.stdout
    assert "The deadline of the call has passed (in queue)" in done.stdout
    assert "No permit became free in time" not in done.stdout and "took too long to begin" not in done.stdout
    assert "The request head took too long" in done.stdout


def test_streams_are_explained(tmp_path):
    path = tmp_path / "curfew.yaml"
    path.write_text("""\
upstreams:
  llm:
    listen: 127.0.0.1:8080
    url: https://llm.example.com
    streams: {first_event: 7s, ignore: [ping, keep]}
    caller_deadline: {headers: [X-Left]}
    routes: [{path: /off, streams: none}]
""")
    status, text, _ = explain(path, "-H", "X-Left: 9000", "POST", "/v1")
    assert status == 0
    assert """
streams     text/event-stream (upstreams.llm.streams, FILE:5): once the head has come, in place of the deadline and idle
  deadline      9s (the default)
  first_event   7s (upstreams.llm.streams.first_event, FILE:5)
  idle          30s (the default)
            comments are no events, nor are those of type ping, keep
            events are counted in text/event-stream without a Content-Encoding; else each read is one
""" in text
    assert "The upstream took too long to send the first event (in receive)" in text
    text = explain(path, "POST", "/off")[1]
    assert "streams  " not in text and "first event" not in text


def test_a_breaker_is_explained(tmp_path):
    path = tmp_path / "curfew.yaml"
    path.write_text("upstreams:\n  a:\n    listen: 127.0.0.1:8080\n    url: http://b\n    breaker: {open: 2s, open_max: 8s}\n    routes:\n"
                    "      - {path: /own, breaker: {failures: 2, statuses: [500]}}\n      - {path: /none, breaker: none}\n")
    status, text, _ = explain(path, "GET", "/")
    assert status == 0
    assert ("breaker     the upstream's, opens after 5 bad tries in a row, or 50% of at least 20 in 10s\n"
            "            for 2s, twice as long each time that this was not enough, up to 8s; then 1 may see, for 5s\n"
            "            answers of 502, 503, 504 are bad; so are tries that fail, or pass a limit\n") in text
    assert "  503  destination_unavailable " in text
    text = explain(path, "GET", "/own")[1]
    assert "breaker     the route's own, opens after 2 bad tries in a row" in text and "answers of 500 are bad" in text
    text = explain(path, "GET", "/none")[1]
    assert "breaker" not in text and "destination_unavailable" not in text
    path.write_text(path.read_text().replace("    breaker: {open", "    observe: true\n    breaker: {open"))
    text = explain(path, "GET", "/")[1]
    assert "observed: it refuses nobody" in text and "destination_unavailable" not in text


RETRIED = """\
upstreams:
  pay:
    listen: 127.0.0.1:8080
    url: http://127.0.0.1:9
    deadline: 3s
    retries: {attempts: 3, when: [connect, reset, 429, 503], per_try: 900ms, repeat: {refused: true}, fallback: other}
    routes: [{path: /none, retries: none}]
  other: {listen: 127.0.0.1:8081, url: http://127.0.0.1:9}
"""
NEVER = """\
  certificate not trusted             none, whatever is listed
  response head too large             none, whatever is listed
  response cut after its head         none, whatever is listed
  deadline, caller gone, operator     none, whatever is listed
and another try goes to other.
"""
AFTER_A_POST = """\
  refused, unreachable (connect)      another try
  no address (dns)                    none: it is not listed in when
  broken TLS handshake (tls)          none: it is not listed in when
  closed before a response (reset)    none: unsafe
  no HTTP (junk)                      none: it is not listed in when
  first_byte, idle (timeout)          none: it is not listed in when
  silent for per_try                  the try goes on
  429                                 another try
  503                                 none: unsafe
  503 with Retry-After                another try
"""
AFTER_A_GET = AFTER_A_POST.replace("none: unsafe", "another try").replace("the try goes on", "another try").replace(
    "  503 with Retry-After                another try\n", "")


@pytest.mark.parametrize("request_, answers", [
    (["POST", "/x"], AFTER_A_POST), (["GET", "/x"], AFTER_A_GET), (["-H", "Idempotency-Key: 1", "POST", "/x"], AFTER_A_GET),
    (["GET", "/none"], None)])
def test_what_follows_after_each_failure_of_a_try(tmp_path, request_, answers):
    path = tmp_path / "curfew.yaml"
    path.write_text(RETRIED)
    done = curfew_command("explain", "-c", path, "--upstream", "pay", *request_)
    assert done.returncode == 0, done.stderr
    _, *told = done.stdout.split("If a try ends so, and nothing of a response has gone out, there follows\n")
    assert told == ([answers + NEVER] if answers else [])


def test_of_a_grpc_request_statuses_are_grpcs(tmp_path):
    conf = tmp_path / "curfew.yaml"
    conf.write_text("upstreams:\n  api: {listen: 127.0.0.1:8080, url: 'http://127.0.0.1:9', deadline: 5s, http2: {use: always}}\n")

    def explained(*fields):
        words = [word for line in fields for word in ("-H", line)]
        return curfew_command("explain", "-c", conf, *words, "POST", "/p.S/M")
    done = explained("content-type: application/grpc", "grpc-timeout: 2S")
    assert done.returncode == 0 and "deadline    2s, from the first byte of the request (the caller's; 5s is" in done.stdout
    assert "  grpc-timeout: 2000m at most: what is left when it is sent\n" in done.stdout and "grpc-timeout: 2S" not in done.stdout
    assert "    4  http_response_timeout " in done.stdout and "    8  connection_limit_reached " in done.stdout and "  504" not in done.stdout
    assert "trailers with that status" in done.stdout and "never" not in done.stdout
    assert "refused     400" in explained("content-type: application/grpc", "grpc-timeout: soon").stdout
    assert "gRPC" not in explained("content-type: application/json", "grpc-timeout: soon").stdout
    conf.write_text(conf.read_text().replace("always", "never"))
    assert "http2.use is never, and gRPC APIs speak HTTP/2 alone" in explained("content-type: application/grpc").stdout


def test_of_a_pool_of_a_fleet_it_tells_this_hosts_part(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("""
fleet: {store: unix:/run/redis.sock, name: production, hosts: 20}
upstreams:
  api: {listen: 8080, url: http://127.0.0.1:1, pool: {size: 50, host_size: 9, reserve: 1, fleet: shared, rate: {limit: 100/s, burst: 4}}}
""")
    status, said, _ = explain(file, "GET", "http://127.0.0.1:8080/")
    assert status == 0
    assert ("            50 over the fleet production, where it is shared; this host has 9 at most, 1 of them without the store\n"
            "            100/s may start over the fleet, after a rest 4 at once; others wait for their slot\n"
            "            while the store is away, 5/s and 1 at once on each of 20 hosts\n") in said, said
