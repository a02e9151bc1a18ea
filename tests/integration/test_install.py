"""What `make install` puts where, and what systemd thinks of the units."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.curfew import curfew_command
from harness.process import BINARY

TREE = Path(__file__).resolve().parents[2]
UNITS = ["curfew.service", "curfew.socket", "curfew@.service"]

# Ten times the score, which --threshold takes: nothing that Debian ships for a network is better (redis-server has 1.2).
EXPOSURE = 12


def make(*args):
    """make, with nothing of the make that runs this test."""
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL")}
    done = subprocess.run(["make", "-s", "-C", TREE, *args], capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """Everything but the binary under a prefix that units can name, and the binary that is under test where they name it."""
    root = tmp_path_factory.mktemp("installed")
    make("install-files", f"PREFIX={root}/usr", f"SYSCONFDIR={root}/etc", f"UNITDIR={root}/units")
    (root / "usr/bin").mkdir()
    (root / "usr/bin/curfew").symlink_to(BINARY)
    return root


@pytest.fixture
def analyze():
    program = shutil.which("systemd-analyze")
    if not program:
        pytest.skip("no systemd-analyze")

    def run(*args):
        done = subprocess.run([program, *args], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    return run


def test_packagers_get_what_they_expect(tmp_path):
    make("install-files", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {f"usr/lib/systemd/system/{unit}" for unit in UNITS} <= files
    assert {"etc/curfew/curfew.yaml", "usr/share/man/man1/curfew.1", "usr/share/man/man5/curfew.yaml.5",
            "usr/share/curfew/curfew.schema.json", "usr/share/bash-completion/completions/curfew", "usr/share/zsh/site-functions/_curfew",
            "usr/share/doc/curfew/README.md", "usr/share/doc/curfew/examples/payments.yaml", "usr/share/doc/curfew/examples/logrotate",
            "usr/share/doc/curfew/docs/stuck.md", "usr/share/doc/curfew/docs/options.md", "usr/share/doc/curfew/examples/prometheus/alerts.yml",
            "usr/share/doc/curfew/examples/grafana/curfew.json"} <= files
    assert not [name for name in files if not name.startswith(("usr/", "etc/curfew/"))]
    first = (tmp_path / "etc/curfew/curfew.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=/usr/share/curfew/curfew.schema.json"
    unit = (tmp_path / "usr/lib/systemd/system/curfew.service").read_text()
    assert "ExecStart=/usr/bin/curfew serve -c /etc/curfew/curfew.yaml\n" in unit
    assert str(tmp_path) not in unit


def test_units_and_manual_say_where_things_lie(tmp_path):
    make("install-files", f"DESTDIR={tmp_path}", "PREFIX=/opt/curfew", "SYSCONFDIR=/opt/etc")
    page = (tmp_path / "opt/curfew/share/man/man1/curfew.1").read_text()
    named = {path.rstrip(".") for path in re.findall(r"/(?:opt|usr|etc)/[\w./]*", page)}
    assert {"/opt/etc/curfew/curfew.yaml", "/opt/curfew/share/doc/curfew/docs/stuck.md"} <= named
    assert not [path for path in named if not path.startswith("/opt/")]
    assert (tmp_path / "opt/curfew/share/doc/curfew/docs/stuck.md").is_file()
    unit = (tmp_path / "opt/curfew/lib/systemd/system/curfew.service").read_text()
    assert "ExecStart=/opt/curfew/bin/curfew serve -c /opt/etc/curfew/curfew.yaml\n" in unit


def test_a_configuration_that_somebody_has_edited_stays(tmp_path):
    make("install-files", f"DESTDIR={tmp_path}")
    conf = tmp_path / "etc/curfew/curfew.yaml"
    conf.write_text("edited\n")
    make("install-files", f"DESTDIR={tmp_path}")
    assert conf.read_text() == "edited\n"
    assert (tmp_path / "etc/curfew/curfew.yaml.new").read_text() == (TREE / "conf/curfew.yaml").read_text()


def test_the_configuration_that_is_installed_is_sound(installed):
    done = curfew_command("check", "--strict", "--descriptors", "65536", "--memory", "8GiB", installed / "etc/curfew/curfew.yaml")
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_has_nothing_to_say_of_the_units(installed, analyze, tmp_path):
    shutil.copy(installed / "units/curfew@.service", installed / "units/curfew@payments.service")
    for unit in ("curfew.service", "curfew.socket", "curfew@payments.service"):
        code, out, err = analyze("verify", "--man=no", "--recursive-errors=no", installed / "units" / unit)
        assert (code, out, err) == (0, "", ""), unit
    broken = tmp_path / "broken.service"
    broken.write_text((installed / "units/curfew.service").read_text().replace("UMask=", "Umask="))
    assert "Umask" in "".join(analyze("verify", "--man=no", "--recursive-errors=no", broken)[1:])


@pytest.mark.parametrize("unit", ["curfew.service", "curfew@.service"])
def test_the_service_is_as_confined_as_the_best(unit, analyze, tmp_path):
    code, out, err = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", TREE / "systemd" / unit)
    assert code == 0, out + err
    loose = tmp_path / unit
    loose.write_text((TREE / "systemd" / unit).read_text().replace("PrivateUsers=yes", "").replace("PrivateMounts=yes", ""))
    assert analyze("security", "--offline=true", f"--threshold={EXPOSURE}", loose)[0] != 0


def settings(unit):
    return [line for line in (TREE / "systemd" / unit).read_text().splitlines() if line and not line.startswith("#")]


def test_an_instance_is_what_the_service_is():
    """But for its own name: its file and its directories."""
    assert [line.replace("%i.yaml", "curfew.yaml").replace("curfew@%i", "curfew").replace("curfew for %i", "curfew")
            for line in settings("curfew@.service")] == settings("curfew.service")


def test_every_line_of_the_service_has_its_reason():
    """A comment before it, or before the lines directly above it."""
    reasoned, missing = False, []
    section = None
    for line in (TREE / "systemd/curfew.service").read_text().splitlines():
        if line.startswith("["):
            section, reasoned = line, line != "[Service]"
        elif line.startswith("#"):
            reasoned = True
        elif not line:
            reasoned = False
        elif not reasoned and section == "[Service]":
            missing.append(line)
    assert missing == []


def test_the_socket_unit_has_the_listener_of_the_configuration():
    unit = settings("curfew.socket")
    conf = (TREE / "conf/curfew.yaml").read_text()
    address = re.search(r"^    listen: (\S+)", conf, re.M)[1]
    name = re.search(r"^upstreams:\n  (\w+):", conf, re.M)[1]
    assert f"ListenStream={address}" in unit and f"FileDescriptorName={name}" in unit
