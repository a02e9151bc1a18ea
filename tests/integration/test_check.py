"""`curfew check FILE`: what it says about files, and how it ends."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from harness.process import BINARY

TREE = Path(__file__).resolve().parents[2]
# What is there, whatever the machine has.
ROOMY = ["--descriptors", "65536", "--memory", "8GiB", "--stop-timeout", "5m"]

GOOD = """\
pools: {reports: {size: 5}}
upstreams:
  payments: {listen: 127.0.0.1:8080, url: https://api.example.com, deadline: 2s}
  mail:
    listen: unix:/run/mail.sock
    url: http://127.0.0.1:25/api
    routes: [{path: /v1/reports, pool: reports}]
"""


def check(*args, stdin=b""):
    """Exit status, lines of standard output, lines of standard error."""
    done = subprocess.run([BINARY, "check", *ROOMY, *map(str, args)], input=stdin, capture_output=True, timeout=30)
    return done.returncode, done.stdout.decode().splitlines(), done.stderr.decode().splitlines()


@pytest.fixture(autouse=True)
def authorities(monkeypatch, certificates):
    """Some CA certificates, whatever the machine has."""
    monkeypatch.setenv("SSL_CERT_FILE", certificates.ca)


@pytest.fixture
def write(tmp_path):
    def write_file(content, name="curfew.yaml"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def test_a_sound_file_is_counted(write):
    path = write(GOOD)
    assert check(path) == (0, [f"{path}: ok: 2 upstreams, 3 pools, 3 routes"], [])


def test_one_of_each_is_singular(write):
    path = write("upstreams: {p: {listen: 127.0.0.1:1, url: http://a}}\n")
    assert check(path) == (0, [f"{path}: ok: 1 upstream, 1 pool, 1 route"], [])


def test_all_errors_come_at_once_with_their_places_and_suggestions(write):
    path = write(
        "workers: 0\n"
        "upstreams:\n"
        "  payments:\n"
        "    listen: 127.0.0.1:8080\n"
        "    url: https://api.example.com\n"
        "    deadline: 2\n"
        "    deadline: 3s\n"
        "    timeout: {connect: 1s}\n"
        "    pool: reprots\n"
        "pools: {reports: {size: 5}}\n"
    )
    assert check(path) == (
        1,
        [],
        [
            f'{path}:1:10: workers: "0" is out of bounds: 1 to 256',
            f'{path}:6:15: upstreams.payments.deadline: "2" has no unit; write for example 2s or 500ms',
            f"{path}:7:5: upstreams.payments.deadline: duplicate key; the first is on line 6",
            f'{path}:8:5: upstreams.payments.timeout: unknown key; did you mean "timeouts"?',
            f'{path}:9:11: upstreams.payments.pool: there is no "reprots" in pools; did you mean "reports"?',
        ],
    )


def test_what_is_no_yaml_has_one_error_with_its_place(write):
    path = write("workers: 1\nupstreams: [a\n")
    status, out, err = check(path)
    assert (status, out, len(err)) == (1, [], 1)
    assert err[0].startswith(f"{path}:3:1: not valid YAML: ")


def test_more_errors_than_are_listed_are_counted(write):
    path = write(GOOD + "".join(f"zz{i}: 1\n" for i in range(130)))
    status, _, err = check(path)
    assert (status, len(err)) == (1, 101)
    assert err[99] == f"{path}:107:1: zz99: unknown key"
    assert err[100] == f"{path}: and 30 errors more"


def test_a_missing_file_and_a_directory_can_not_be_read(tmp_path):
    missing = tmp_path / "missing.yaml"
    assert check(missing) == (1, [], [f"curfew: {missing}: No such file or directory"])
    assert check(tmp_path) == (1, [], [f"curfew: {tmp_path}: no *.yaml is in this directory"])
    (tmp_path / "one.yaml").mkdir()
    assert check(tmp_path) == (1, [], [f"curfew: {tmp_path}/one.yaml: Is a directory"])


def test_the_files_of_a_directory_are_one_configuration(write, tmp_path):
    for name in ("z.yml", ".hidden.yaml", "y.yaml~", "README"):
        write("nonsense", name)
    base = write("pools: {reports: {size: 5}}\nworkers: 1\n", "00-base.yaml")
    mail = write("upstreams:\n  mail: {listen: unix:/run/mail.sock, url: http://a, pool: reports}\n", "20-mail.yaml")
    write("# all is commented out\n", "30-empty.yaml")
    pay = write("upstreams:\n  pay: {listen: 127.0.0.1:8080, url: https://b}\n", "10-pay.yaml")
    for spelling in (tmp_path, f"{tmp_path}/"):
        assert check(spelling) == (0, [f"{spelling}: ok: 2 upstreams, 2 pools, 2 routes"], [])
    mail.write_text("workers: 2\nupstreams:\n  pay: {listen: 0.0.0.0:8080, url: http://a, deadlin: 2s}\n")
    base.write_text("workers: 1\nlog: {level: loud}\n")
    assert check(tmp_path) == (1, [], [
        f'{base}:2:14: log.level: "loud" is none of error, warn, info, debug',
        f"{mail}:1:1: workers: is there already, on line 1 of 00-base.yaml; only upstreams, pools and forward may be in several "
        "files",
        f"{mail}:3:3: upstreams.pay: is there already, on line 2 of 10-pay.yaml"])
    assert pay.exists()


def test_what_looks_like_a_variable_and_is_none_is_warned_of(write):
    path = write(GOOD + "defaults:\n  headers: {set: {Authorization: Bearer $TOKEN}}\n")
    assert check("--strict", path)[2][0].startswith(
        f"{path}:9:34: warning: defaults.headers.set.Authorization: what looks like a variable is none and stays as it is")
    assert check(path)[0] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_without_permission_can_not_be_read(write):
    path = write(GOOD)
    path.chmod(0)
    assert check(path) == (1, [], [f"curfew: {path}: Permission denied"])


def test_files_that_a_file_names_are_read(write, tmp_path, certificates):
    token = write("Bearer secret\r\n", "token")
    text = (
        "upstreams:\n  p:\n    listen: 127.0.0.1:1\n    url: https://a\n"
        "    headers: {set: {Authorization: {file: %s}}}\n    tls: {ca_file: %s}\n"
    )
    path = write(text % (token, certificates.ca))
    assert check(path)[0] == 0

    nothing = tmp_path / "no"
    path = write(text % (nothing, tmp_path))
    assert check(path) == (
        1,
        [],
        [
            f'{path}:5:43: upstreams.p.headers.set.Authorization.file: "{clip(nothing)}": No such file or directory',
            f'{path}:6:20: upstreams.p.tls.ca_file: "{clip(tmp_path)}": Is a directory',
        ],
    )

    two_lines = write("secret\nother\n", "token")
    path = write(text % (two_lines, two_lines))
    status, _, err = check(path)
    assert (status, len(err)) == (1, 1)
    assert "secret" not in err[0]


def test_a_pipe_is_not_waited_for(write, tmp_path):
    """Nobody writes to it, and a reload would stand still."""
    why = "a pipe, which a reload could not read again; a file is needed"
    shown = clip(tmp_path / "pipe")
    (tmp_path / "parts").mkdir()
    for pipe in (tmp_path / "pipe", tmp_path / "parts" / "pipe.yaml"):
        os.mkfifo(pipe)
    path = write(f"""
        upstreams:
          api: {{listen: 8080, url: "https://api.example.com", tls: {{ca_file: {tmp_path}/pipe}},
                headers: {{set: {{X-Key: {{file: {tmp_path}/pipe}}}}}}}}
        """)
    assert [line.partition(": ")[2] for line in check(path)[2]] == [
        f'upstreams.api.tls.ca_file: "{shown}": {why}', f'upstreams.api.headers.set.X-Key.file: "{shown}": {why}']
    assert check(tmp_path / "parts")[2] == [f"curfew: {tmp_path}/parts/pipe.yaml: {why}"]
    done = subprocess.run(["bash", "-c", f'exec "{BINARY}" check <(cat "{write(GOOD)}")'], capture_output=True, timeout=10)
    assert done.returncode == 0, done.stderr


def clip(path):
    """As messages show long texts."""
    return str(path) if len(str(path)) <= 40 else str(path)[:40] + "…"


def test_a_value_that_a_variable_leaves_empty_has_its_place(write, monkeypatch):
    monkeypatch.setenv("EMPTY", "")
    path = write(GOOD + "    headers: {set: {X-Empty: \"${EMPTY}\"}}\n    deadline: ${EMPTY}\n")
    assert check(path) == (1, [], [f"{path}:9:5: upstreams.mail.deadline: has no value: what its variable holds is empty"])


def test_a_secret_with_a_byte_order_mark_is_refused(write, tmp_path):
    (tmp_path / "token").write_bytes(b"\xef\xbb\xbfsecret\r\n")
    path = write(GOOD + f"    headers: {{set: {{Host: {{file: {tmp_path}/token}}}}}}\n")
    assert [line.partition(": ")[2] for line in check(path)[2]] == [
        "upstreams.mail.headers.set.Host.file: the file begins with a byte order mark; save it without one"]


def test_standard_input_is_a_file_too():
    assert check("-", stdin=GOOD.encode()) == (0, ["-: ok: 2 upstreams, 3 pools, 3 routes"], [])
    assert check("-", stdin=b"") == (1, [], ["<stdin>:1:1: the file is empty"])


def test_a_file_that_is_too_large_is_refused(write):
    path = write(b"# padding\n" * 210000)
    assert check(path) == (1, [], [f"{path}:1:1: the file is larger than 1MiB"])


def test_bytes_that_are_no_text_are_refused(write):
    path = write(b"upstreams:\n  \xff\xfe\x00\x01" + bytes(range(256)) * 100)
    assert check(path) == (1, [], [f"{path}:2:3: not a text in UTF-8: invalid leading UTF-8 octet"])
    status, out, err = check(write(bytes(range(256)) * 1000))
    assert (status, out, len(err)) == (1, [], 1)


def test_keys_can_not_steer_the_terminal(write):
    status, _, err = check(write(GOOD + '"\\e[2Jx": 1\n'))
    assert status == 1
    assert err[0].endswith(':8:1: "\\u001b[2Jx": unknown key')


@pytest.mark.parametrize("args", [["a", "b"], ["--verbose"]])
def test_wrong_usage_is_2(args):
    status, out, err = check(*args)
    assert (status, out) == (2, [])
    assert "usage: curfew check [OPTION]... [[-c] FILE]" in err


def test_help_goes_to_standard_output():
    status, out, err = check("--help")
    assert (status, err) == (0, [])
    assert out[0] == "usage: curfew check [OPTION]... [[-c] FILE]"


# ----------------------------------------------------------------------- as JSON


def check_json(*args):
    """Exit status and what was said."""
    status, out, err = check("--json", *args)
    assert err == []
    return status, json.loads("\n".join(out))


def test_json_counts_a_sound_file(write):
    path = write(GOOD)
    assert check_json(path) == (0, {"config": str(path), "ok": True, "upstreams": 2, "pools": 3, "routes": 3, "error_count": 0,
                                    "warning_count": 0, "errors": [], "warnings": []})


def test_json_has_each_error_with_its_place(write, tmp_path):
    path = write(GOOD + 'log: {access: "x}\n', "a \"file\".yaml")
    status, told = check_json(path)
    assert status == 1 and told["ok"] is False and told["error_count"] == 1
    assert told["errors"] == [{"file": str(path), "line": 8, "column": 15, "message": "not valid YAML: a quote that is not closed"}]
    status, told = check_json(write(GOOD + 'workers: 0\n"\\e[2Jx": 1\n'))
    at = {"file": str(tmp_path / "curfew.yaml"), "column": 1}
    assert (status, told["errors"]) == (1, [
        {**at, "line": 8, "column": 10, "key": "workers", "message": '"0" is out of bounds: 1 to 256'},
        {**at, "line": 9, "key": '"\\u001b[2Jx"', "message": "unknown key"}])
    assert "upstreams" not in told
    # What has no line has none.
    status, told = check_json(tmp_path / "none.yaml")
    assert (status, told["errors"]) == (1, [{"file": str(tmp_path / "none.yaml"), "message": "No such file or directory"}])


def test_json_has_warnings_and_strict_makes_them_count(write):
    path = write(ODD)
    status, told = check_json(path)
    assert (status, told["ok"], told["errors"]) == (0, True, []) and told["warning_count"] == len(told["warnings"]) > 0
    first = told["warnings"][0]
    assert f'{first["line"]}:{first["column"]}: warning: {first["key"]}: {first["message"]}' in ODD_TOLD
    assert check_json("--strict", path)[1] == {**told, "ok": False} and check_json("--strict", path)[0] == 1


def test_json_of_a_thousand_errors_is_cut_and_says_so(write):
    status, told = check_json(write(GOOD + "".join(f"zz{n}: 1\n" for n in range(1000))))
    assert (status, told["error_count"], len(told["errors"])) == (1, 1000, 100)


# ----------------------------------------------------------------------- what serve would refuse


@pytest.mark.parametrize("place, why", [
    ("none/access.log", "No such file or directory"), ("", "Is a directory"), ("file/access.log", "Not a directory"),
    ("closed/access.log", "Permission denied"), ("locked", "Permission denied")])
def test_a_log_that_serve_could_not_open_is_an_error(write, tmp_path, place, why):
    if why == "Permission denied" and os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    (tmp_path / "file").write_text("")
    (tmp_path / "locked").touch(0)
    (tmp_path / "closed").mkdir(0o500)
    path = write(f"log: {{access: {tmp_path}/{place}}}\n{GOOD}")
    assert check(path) == (1, [], [f"{path}:1:15: log.access: {tmp_path}/{place}: {why}"])


def test_what_is_in_the_place_of_a_unix_socket_is_an_error_unless_it_is_one(write, tmp_path):
    path = write(GOOD.replace("/run/mail.sock", f"{tmp_path}/curfew.yaml"))
    assert check(path) == (1, [], [f'{path}:5:13: upstreams.mail.listen: "{clip(f"unix:{path}")}": is there already, and is no socket'])
    for place, why in (("curfew.yaml/x", "a part of its path is no directory"), ("none/x", "its directory is not there")):
        path = write(GOOD.replace("/run/mail.sock", f"{tmp_path}/{place}"))
        assert check(path)[2] == [f'{path}:5:13: upstreams.mail.listen: "{clip(f"unix:{tmp_path}/{place}")}": {why}']
    assert check(write(GOOD.replace("/run/mail.sock", "/run/none/x")))[0] == 0  # systemd makes it
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(f"{tmp_path}/x")
        assert check(write(GOOD.replace("/run/mail.sock", f"{tmp_path}/x")))[0] == 0
        path = write(f"log: {{access: {tmp_path}/x}}\n{GOOD}")
        assert check(path) == (1, [], [f"{path}:1:15: log.access: {tmp_path}/x: No such device or address"])


def test_a_log_that_serve_could_open_is_not_made(write, tmp_path):
    (tmp_path / "there").write_text("a line\n")
    (tmp_path / "link").symlink_to(tmp_path / "later")
    os.mkfifo(tmp_path / "fifo")
    for name in ("new", "there", "link", "fifo"):
        assert check(write(f"log: {{access: {tmp_path}/{name}}}\n{GOOD}"))[0] == 0, name
    assert (tmp_path / "there").read_text() == "a line\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curfew.yaml", "fifo", "link", "there"]


# ----------------------------------------------------------------------- warnings on meaning

ODD = """\
limits: {connections: 500}
upstreams:
  payments:
    listen: 127.0.0.1:8080
    url: https://api.example.com
    deadline: 40s
    timeouts: {connect: 1m}
"""
ODD_TOLD = [
    "6:15: warning: upstreams.payments.deadline: 40s is longer than drain, 30s (the default): a shutdown cuts such "
    "calls early; drain: 40s is right",
    "7:25: warning: upstreams.payments.timeouts.connect: 1m is longer than the deadline, 40s (line 6), and can never "
    "strike; less than that, or none, is right",
]


def test_a_warning_has_its_place_and_leaves_the_file_sound(write):
    path = write(ODD)
    assert check(path) == (
        0, [f"{path}: ok: 1 upstream, 1 pool, 1 route, 2 warnings"], [f"{path}:{told}" for told in ODD_TOLD])


def test_a_strict_check_takes_a_warning_for_an_error(write):
    path = write(ODD)
    assert check("--strict", path) == (
        1, [], [f"{path}:{told}" for told in ODD_TOLD] + [f"{path}: 2 warnings, and --strict"])
    assert check("--strict", write(GOOD))[0] == 0


@pytest.mark.parametrize("option, told", [
    (["--descriptors", "700"], ":1:23: warning: limits.connections: 500 callers, 50 permits and 64 idle connections may "
                               "need 870 descriptors, and there are 700; "),
    (["--memory", "1MiB"], ":1:23: warning: limits.connections: buffers may need "),
    (["--stop-timeout", "20s"], ": warning: drain: 30s is longer than a stop may take, 20s: "),
])
def test_what_the_service_is_granted_is_what_counts(write, option, told):
    code, _, err = check(*option, write(ODD))
    assert code == 0 and any(told in line for line in err), err


def test_responses_that_nobody_reads_count_with_the_connections_not_the_permits(write):
    """The permit goes back when the upstream has given all of it: 1000 callers, 32 KiB + 32 KiB + 64 KiB for each."""
    path = write("""
        limits: {connections: 1000}
        upstreams:
          api: {listen: "127.0.0.1:8080", url: "http://api.example.com", pool: {size: 1, queue: 1}}
    """)
    assert any("limits.connections: buffers may need " in line for line in check("--memory", "120MiB", path)[2])
    assert not any("limits.connections: buffers may need " in line for line in check("--memory", "140MiB", path)[2])


@pytest.mark.parametrize("args", [["--strict"], ["--memory", "1", "x"], ["--descriptors", "-1", "x"], ["--stop-timeout", "9", "x"],
                                  ["--surf", "x"]])
def test_wrong_options_are_wrong_usage(args):
    code, out, err = check(*args)
    assert code == 2 and out == [] and "usage: curfew check" in err[0] + err[-1] + "\n".join(err)


def tls_file(write, tls):
    return write(f"""\
upstreams:
  payments:
    listen: 127.0.0.1:8080
    url: https://api.example.com
    tls: {tls}
""")


def test_a_certificate_that_has_expired_or_soon_will(write, certificates):
    soon, gone = certificates.cert("soon"), certificates.cert("expired")
    path = tls_file(write, f"{{ca_file: {certificates.ca}, cert_file: {soon}, key_file: {certificates.key('soon')}}}")
    code, _, err = check(path)
    assert code == 0 and len(err) == 1
    assert "upstreams.payments.tls.cert_file: " in err[0]
    assert re.search(" expires in (9|10) days; a new certificate is needed soon$", err[0])
    path = tls_file(write, f"{{cert_file: {gone}, key_file: {certificates.key('expired')}}}")
    code, _, err = check(path)
    assert code == 0 and len(err) == 1 and "has expired" in err[0] and "upstreams.payments.tls.cert_file: " in err[0]


def test_a_bundle_of_authorities_is_as_good_as_its_last(write, certificates, tmp_path):
    bundle = tmp_path / "bundle.pem"
    with open(certificates.cert("expired")) as gone, open(certificates.ca) as good:
        bundle.write_text(gone.read() + good.read())
    path = tls_file(write, f"{{ca_file: {bundle}}}")
    assert check(path)[2] == []
    with open(certificates.cert("expired")) as gone:
        bundle.write_text(gone.read())
    assert ["has expired" in line and "tls.ca_file" in line for line in check(path)[2]] == [True]


@pytest.fixture(scope="session")
def keys(certificates, tmp_path_factory):
    """More files than a server needs: a key behind a passphrase, one too weak to be taken, and its certificate."""
    directory = tmp_path_factory.mktemp("keys")

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=directory, check=True, capture_output=True, timeout=30)

    openssl("pkey", "-in", certificates.key("client"), "-aes128", "-passout", "pass:secret", "-out", "locked.key")
    openssl("pkey", "-in", certificates.key("client"), "-outform", "DER", "-out", "binary.key")
    openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", "weak.key", "-out", "weak.pem", "-days", "90", "-subj", "/CN=weak")
    (directory / "garbage.pem").write_text("-----BEGIN CERTIFICATE-----\nsecret\n-----END CERTIFICATE-----\n")
    return lambda name: str(directory / name)


@pytest.mark.parametrize("cert, key, at, why", [
    ("client", "locked.key", "key", "the key is encrypted, and there is nobody to ask for a passphrase"),
    ("client", "server", "key", "the key does not match cert_file"),
    ("client", "binary.key", "key", "no private key in PEM form that can be used"),
    ("client", "weak.pem", "key", "no private key in PEM form that can be used"),
    ("client", "empty", "key", "the file is empty"),
    ("weak.key", "client", "cert", "no certificate in PEM form: no start line"),
    ("weak.pem", "weak.key", "cert", "OpenSSL does not take it: ee key too small"),
    ("garbage.pem", "client", "cert", "no certificate in PEM form: bad base64 decode"),
    ("client", "client", "ca", "no CA certificates in PEM form: no certificate or crl found")])
def test_what_serve_would_not_load_is_an_error_in_the_same_words(write, certificates, keys, cert, key, at, why):
    empty = write("", "empty")
    files = {"cert": keys(cert) if "." in cert else certificates.cert(cert),
             "key": str(empty) if key == "empty" else keys(key) if "." in key else certificates.key(key),
             "ca": certificates.key("ca") if at == "ca" else certificates.ca}
    path = tls_file(write, "{" + ", ".join(f"{name}_file: {file}" for name, file in files.items()) + "}")
    code, out, told = check(path)
    err = [line for line in told if " warning: " not in line]  # the certificates of the tests are soon to expire
    said = f"upstreams.payments.tls.{at}_file: {files[at]}: {why}"
    assert (code, out, len(err)) == (1, [], 1)
    assert re.fullmatch(re.escape(str(path)) + r":5:\d+: " + re.escape(said), err[0]), err
    done = subprocess.run([BINARY, "serve", "-c", path], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and done.stderr.endswith(f"{said}\n"), done.stderr


def test_files_that_several_upstreams_inherit_are_told_of_once(write, keys):
    path = write(f"defaults: {{tls: {{ca_file: {keys('weak.key')}}}}}\nupstreams:\n" + "".join(
        f"  p{n}: {{listen: 127.0.0.1:{n}, url: {scheme}://a}}\n" for n, scheme in enumerate(["https", "https", "http"], 1)))
    code, _, err = check(path)
    assert code == 1 and len(err) == 1 and err[0].startswith(f"{path}:1:27: defaults.tls.ca_file: "), err


def test_a_system_without_authorities_is_warned_of_where_they_are_needed(write, certificates, monkeypatch, tmp_path):
    path = write("upstreams:\n  p: {listen: 127.0.0.1:1, url: https://a}\n  plain: {listen: 127.0.0.1:2, url: http://a}\n"
                 f"  own: {{listen: 127.0.0.1:3, url: https://a, tls: {{ca_file: {certificates.ca}}}}}\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}/none:{tmp_path}")
    code, _, err = check(path)
    assert code == 0 and len(err) == 1
    assert err[0].startswith(f"{path}:2:3: warning: upstreams.p: this system has no CA certificates, "), err
    (tmp_path / "5ed36f99.0").write_text("is looked for by this name")
    assert check(path)[2] == []


SHIPPED = sorted(path.relative_to(TREE) for part in ("conf", "bench") for path in (TREE / part).rglob("*.yaml")
                 if not path.name.endswith(("kubernetes.yaml", "mtls-pod.yaml", "compose.yaml")))


@pytest.mark.parametrize("name", SHIPPED, ids=str)
def test_the_configurations_that_are_shipped_mean_what_they_say(name):
    code, _, err = check("--strict", "--stop-timeout", "90s", TREE / name)
    assert (code, err) == (0, [])
