"""`curfew check --store`: what it says of a real store, of one that will not do, and of what is none."""

import re
import subprocess
from pathlib import Path

import pytest

from harness.bounds import SLOW, poll
from harness.curfew import write_config
from harness.process import BINARY
from harness.ports import free_port
from harness.stores import Impostor, RedisServer, Sentinel

TREE = Path(__file__).resolve().parents[2]
# What docs/fleet.md has a user be able to do.
RIGHTS = re.findall(r"[~&+][\w:*|]+", re.search(r"ACL SETUSER curfew(.*?)```", (TREE / "docs/fleet.md").read_text(), re.S)[1])


@pytest.fixture
def start(tmp_path):
    stores = []

    def start_store(*args, **more):
        stores.append(RedisServer(tmp_path / f"store{len(stores)}", *args, **more))
        return stores[-1]

    yield start_store
    for store in stores:
        store.process.kill()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """One that does, for who only needs one."""
    store = RedisServer(tmp_path_factory.mktemp("plain") / "store")
    yield store
    store.process.kill()


@pytest.fixture
def check(tmp_path):
    def check_store(url, *options, **fleet):
        """Exit status, what it printed, and what it said of fleet.store."""
        config = tmp_path / "curfew.yaml"
        write_config(config, {"api": {"url": "http://127.0.0.1:9", "deadline": "1s", "pool": {"size": 5, "fleet": True}}},
                     {"fleet": {"store": url, "name": "prod", "hosts": 2, **fleet}})
        done = subprocess.run([BINARY, "check", "--store", "--stop-timeout", "5m", *options, config],
                              capture_output=True, text=True, timeout=60)
        said = [re.sub(r"^.*?: ((warning: )?fleet\.store: )?", r"\2", line, count=1) for line in done.stderr.splitlines()]
        return done.returncode, done.stdout, said

    return check_store


@pytest.fixture
def password(tmp_path):
    path = tmp_path / "password"
    path.write_text("s3cret\n")
    return {"password": {"file": str(path)}}


def test_a_store_that_does_is_described_and_nothing_stays_in_it(plain, check):
    status, printed, said = check(plain.url)
    assert (status, said) == (0, [])
    assert re.search(rf"the fleet's store is Redis \d+\.\d+\.\d+, standalone at 127\.0\.0\.1:{plain.port}, an answer takes \d+ us\n", printed)
    assert plain.client.keys("*") == []


def test_a_file_without_a_fleet_has_no_store(tmp_path):
    config = tmp_path / "curfew.yaml"
    write_config(config, {"api": {"url": "http://127.0.0.1:9"}}, {})
    done = subprocess.run([BINARY, "check", "--store", config], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "--store: there is no fleet, and so no store" in done.stderr


def test_nobody_is_asked_without_the_option(tmp_path):
    config = tmp_path / "curfew.yaml"
    write_config(config, {"api": {"url": "http://127.0.0.1:9", "pool": {"size": 5, "fleet": True}}},
                 {"fleet": {"store": f"redis://127.0.0.1:{free_port()}", "name": "prod", "hosts": 2}})
    done = subprocess.run([BINARY, "check", "--offline", config], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_store_that_is_not_there(check):
    port = free_port()
    assert check(f"redis://127.0.0.1:{port}") == (1, "", [f"127.0.0.1:{port}: Connection refused"])


def test_a_unix_socket_that_is_not_there(check, tmp_path):
    status, _, said = check(f"unix:{tmp_path}/none.sock")
    assert status == 1 and said == [f"unix:{tmp_path}/none.sock: No such file or directory"]


def test_of_several_places_the_one_that_is_not_there_is_a_warning(plain, check):
    port = free_port()
    status, printed, said = check([f"redis://127.0.0.1:{port}", plain.url])
    assert status == 0 and str(plain.port) in printed
    assert said == [f"warning: 127.0.0.1:{port}: Connection refused"]


def test_the_rights_that_the_manual_names_are_enough(plain, check, password):
    plain.client.execute_command("ACL", "SETUSER", "manual", "reset", "on", ">s3cret", *RIGHTS)
    assert check(plain.url, user="manual", **password)[::2] == (0, [])


def test_each_right_of_the_manual_is_needed(plain, check, password):
    """But for those that a connection has without being asked: HELLO, PING; and SCRIPT LOAD, which proxies ask for."""
    for right in RIGHTS:
        if right in ("+hello", "+ping", "+script|load", "~curfew:*"):
            continue
        rest = [one for one in RIGHTS if one != right]
        plain.client.execute_command("ACL", "SETUSER", "less", "reset", "on", ">s3cret", *rest)
        status, _, said = check(plain.url, user="less", **password)
        assert status == 1 and said, right


def test_every_command_of_the_fleet_s_scripts_is_tried():
    called = {path.name: set(re.findall(r'redis\.p?call\("(\w+)"', path.read_text())) for path in (TREE / "src/proxy").glob("fleet_*.lua")}
    tried = set(re.findall(r'^try\("(\w+)"', (TREE / "src/proxy/fleet_check.lua").read_text(), re.M))
    assert called["fleet_renew.lua"] and set().union(*called.values()) <= tried


def test_a_wrong_password_is_said_and_not_shown(plain, check, password):
    plain.client.execute_command("ACL", "SETUSER", "other", "reset", "on", ">another", *RIGHTS)
    status, printed, said = check(plain.url, user="other", **password)
    assert status == 1 and len(said) == 1 and "WRONGPASS" in said[0]
    assert "s3cret" not in printed + said[0]


def test_a_password_that_is_wanted_and_not_there(start, check):
    status, _, said = check(start("--requirepass", "x").url)
    assert status == 1 and "NOAUTH" in said[0] and said[0].endswith("; user and password: {file: PATH} are right")


def test_what_evicts_is_a_warning(start, check):
    status, _, said = check(start("--maxmemory-policy", "allkeys-lru").url)
    assert status == 0 and len(said) == 1
    assert said[0].startswith("warning: its maxmemory-policy is allkeys-lru: ") and said[0].endswith("noeviction is right")
    assert check(start("--maxmemory-policy", "allkeys-lru").url, "--strict")[0] == 1


def test_a_store_without_memory_is_an_error(start, check):
    status, _, said = check(start("--maxmemory", "1").url)
    assert status == 1 and len(said) == 1 and "OOM command not allowed" in said[0]


def test_a_replica_is_not_taken_and_its_master_is_warned_of(start, check):
    master = start()
    replica = start("--replicaof", "127.0.0.1", master.port)
    poll(lambda: master.client.info("replication")["connected_slaves"] == 1, "the replica to connect", 10 * SLOW)
    status, _, said = check(master.url)
    assert status == 0 and len(said) == 1 and "it has 1 replica and no min-replicas-to-write" in said[0]
    assert check(replica.url)[::2] == (1, [f"127.0.0.1:{replica.port}: it is a replica, not the master"])
    master.client.config_set("min-replicas-to-write", 1)
    poll(lambda: check(master.url)[::2] == (0, []), "the replica to be a good one", 10 * SLOW)


def test_sentinel_says_where_the_master_is(start, check, tmp_path):
    master = start()
    sentinel = Sentinel(tmp_path / "sentinel", master)
    try:
        assert f"at 127.0.0.1:{master.port}," in check(sentinel.url, sentinel="main")[1]
        assert check(sentinel.url, sentinel="other")[::2] == (1, [f"Sentinel 127.0.0.1:{sentinel.port}: it knows no master of the name other"])
    finally:
        sentinel.process.kill()


# ------------------------------------------------------------------------------------------------ TLS

def test_tls_with_an_authority_of_one_s_own(start, check, certificates):
    store = start(tls=(certificates, "server", "no"))
    trust = {"tls": {"ca_file": certificates.ca}}
    assert check(f"rediss://localhost:{store.port}", **trust)[::2] == (0, [])
    assert check(f"rediss://127.0.0.1:{store.port}", **trust)[::2] == (0, [])


@pytest.mark.parametrize("certificate,authority,why", [
    ("wrong-name", "ca", "certificate: hostname mismatch"),
    ("untrusted", "ca", "certificate: unable to get local issuer certificate"),
    ("expired", "ca", "certificate: certificate has expired"),
])
def test_a_certificate_that_is_not_the_store_s(start, check, certificates, certificate, authority, why):
    store = start(tls=(certificates, certificate, "no"))
    status, _, said = check(f"rediss://localhost:{store.port}", tls={"ca_file": certificates.cert(authority)})
    assert status == 1 and len(said) == 1 and said[0].endswith(why)


def test_a_store_that_wants_a_certificate(start, check, certificates):
    store = start(tls=(certificates, "server", "yes"))
    url, trust = f"rediss://localhost:{store.port}", {"ca_file": certificates.ca}
    status, _, said = check(url, tls=trust)
    assert status == 1 and "certificate required" in said[0]
    assert check(url, tls={**trust, "cert_file": certificates.cert("client"), "key_file": certificates.key("client")})[::2] == (0, [])


def test_plain_to_tls_and_tls_to_plain(start, plain, check, certificates):
    store = start(tls=(certificates, "server", "no"))
    status, _, said = check(f"redis://127.0.0.1:{store.port}")
    assert status == 1 and said[0].endswith("; a store that wants TLS does that, and rediss:// is right there")
    status, _, said = check(f"rediss://127.0.0.1:{plain.port}", tls={"ca_file": certificates.ca})
    assert status == 1 and said == [f"127.0.0.1:{plain.port}: no connection in time: it does not answer as TLS does"]


# ------------------------------------------------------------------------------------------------ what is none

@pytest.mark.parametrize("says,forever,why", [
    (b"", False, "no connection in time"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, 'Protocol error, got "H" as reply type byte'),
    (b"+OK\r\n", False, "its answer to HELLO names no role"),
    (b"-ERR unknown command `HELLO`\r\n", False, "it is older than Redis 6.0: it does not know HELLO"),
    (b"-ERR max number of clients reached\r\n", False, 'it said "ERR max number of clients reached"'),
    (b"*1000000\r\n", False, "an answer with too many items"),
    (b"$1073741824\r\n", True, "an answer of more than 64 KiB"),
], ids=["silence", "http", "other", "old", "full", "items", "huge"])
def test_what_is_no_store(check, says, forever, why):
    impostor = Impostor(says, forever)
    try:
        status, _, said = check(impostor.url)
        assert status == 1 and len(said) == 1 and said[0].endswith(f": {why}")
    finally:
        impostor.close()
