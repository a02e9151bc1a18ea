"""What a curfew makes of its fleet's store: TLS, passwords that change, Sentinels, and answers that are none."""

import pytest

from harness.bounds import SLOW, SOON, poll
from harness.curfew import Curfew, Faulty, write_config
from harness.stores import Between, Elsewhere, RedisServer, Sentinel

KEY = "curfew:{prod/api}:"


@pytest.fixture
def api(later):
    faulty = Faulty()
    later(faulty.process.kill)
    return faulty


@pytest.fixture
def start(tmp_path, api, later):
    """A curfew of the fleet `prod`."""
    def start_curfew(url, **fleet):
        directory = tmp_path / f"host{url.rsplit(':', 1)[1]}{len(list(tmp_path.iterdir()))}"
        directory.mkdir()
        write_config(directory / "curfew.yaml", {"api": {"url": api.url, "deadline": "1s", "pool": {"size": 4, "queue": 1000, "fleet": True}}},
                     {"workers": 1, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": "off"},
                      "fleet": {"store": url, "name": "prod", "hosts": 2, "fallback": "closed", **fleet}})
        host = Curfew(directory, directory / "curfew.yaml")
        later(host.process.must_be_clean)
        later(host.process.kill)
        return host

    return start_curfew


@pytest.fixture
def redis_server(tmp_path, later):
    def start_server(*args, **more):
        server = RedisServer(tmp_path / f"store{len(list(tmp_path.iterdir()))}", *args, **more)
        later(server.process.kill)
        return server

    return start_server


def begin(server, hosts=1):
    """Nobody holds anything yet: nothing has to be learnt."""
    poll(lambda: server.client.hlen(KEY + "entries") == hosts, "all hosts to be in the book", 2 * SOON)
    server.client.hset(KEY + "book", mapping={"unknown_until": 0, "minted": 0})


def takes_calls(host, seconds=SOON):
    poll(lambda: host.ask("GET", "/ok").status == 200, "calls to be taken", seconds)


def is_calm(host):
    """It has been told that nobody has waited for a second, and has a permit more than it needs."""
    pool = host.pools()["pools"][0]
    return pool["fleet"]["mode"] == "calm" and pool["size"] > 0


def says(host, text, seconds=2 * SOON):
    assert host.process.stderr.wait(lambda lines: [line for line in lines if text in line], seconds), host.process.stderr.text()


def memory_of(host):
    with open(f"/proc/{host.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def test_a_store_by_tls(start, redis_server, certificates):
    server = redis_server(tls=(certificates, "server", "yes"))
    host = start(f"rediss://localhost:{server.port}",
                 tls={"ca_file": certificates.ca, "cert_file": certificates.cert("client"), "key_file": certificates.key("client")})
    begin(server)
    takes_calls(host)


def test_a_certificate_with_another_name_is_an_error_in_the_log(start, redis_server, certificates):
    server = redis_server(tls=(certificates, "wrong-name", "no"))
    host = start(f"rediss://localhost:{server.port}", tls={"ca_file": certificates.ca})
    says(host, "certificate: hostname mismatch")
    assert server.client.keys("*") == []


def test_a_password_that_is_put_right_needs_no_reload_and_is_never_shown(start, redis_server, tmp_path):
    server = redis_server()
    server.client.execute_command("ACL", "SETUSER", "fleet", "on", ">n3w-one", "~curfew:*", "&curfew:*", "+@all")
    file = tmp_path / "password"
    file.write_text("0ld-one\n")
    host = start(server.url, user="fleet", password={"file": str(file)})
    says(host, "WRONGPASS")
    file.write_text("n3w-one\n")
    begin(server)
    takes_calls(host)
    shown = host.process.stderr.text() + host.admin_get("/config")[1]
    assert "0ld-one" not in shown and "n3w-one" not in shown and str(file) in shown


@pytest.mark.parametrize("mode", ["stall", "drip", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*4096\r\n" + b"$1000\r\n" + b"x" * 1000 + b"\r\n",
                                  b"$1073741824\r\n" + b"x" * 65536], ids=["stall", "drip", "http", "lists", "huge"])
def test_calls_do_not_notice_a_store_that_says_rubbish_and_memory_stays(start, redis_server, later, mode):
    server = redis_server()
    between = Between(server.port)
    later(between.close)
    host = start(between.url, ride_out="20s")
    begin(server)
    takes_calls(host)
    poll(lambda: is_calm(host), "the host to know that the fleet is calm", 2 * SOON)
    before = memory_of(host)
    between.mode = mode
    says(host, "fleet: the store is away")
    for _ in range(20):
        assert host.ask("GET", "/delay/10").status == 200
    assert memory_of(host) < before + 1024 * SLOW
    between.mode = "forward"
    says(host, "fleet: the store is reached")
    assert host.ask("GET", "/ok").status == 200


def test_a_node_of_a_cluster_that_is_away_is_named_in_the_log(start, later):
    node = Elsewhere("127.0.0.1:1")
    later(node.close)
    host = start(node.url)
    says(host, "fleet: the store is reached")
    says(host, "error: fleet: pool api: the store does not renew what it lends: 127.0.0.1:1: Connection refused")


def test_a_master_that_is_killed_is_followed_to_the_next_one_and_the_cap_holds(start, redis_server, later, tmp_path, api):
    master = redis_server()
    replica = redis_server("--replicaof", "127.0.0.1", master.port)
    poll(lambda: master.client.info("replication")["connected_slaves"] == 1, "the replica to connect", 2 * SOON)
    sentinel = Sentinel(tmp_path / "sentinel", master, down_after_milliseconds=300, failover_timeout=2000)
    later(sentinel.process.kill)
    poll(lambda: sentinel.client.execute_command("SENTINEL", "replicas", "main"), "Sentinel to know the replica", 4 * SOON)
    hosts = [start(sentinel.url, sentinel="main", ride_out="20s") for _ in range(2)]
    begin(master, 2)
    for host in hosts:
        takes_calls(host)
    master.process.kill()
    poll(lambda: sentinel.master() == replica.port, "the replica to be promoted", 4 * SOON)
    poll(lambda: replica.client.hlen(KEY + "entries") == 2, "both hosts to come over", 2 * SOON)
    assert all(host.ask("GET", "/ok").status == 200 for host in hosts)
    assert api.stats()["in_work_max"] <= 4
