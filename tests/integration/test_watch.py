"""watch: true. Files that change are in force within two seconds of the last write."""

import json
import os
import signal
from pathlib import Path

import pytest

from harness.bounds import SLOW, poll
from harness.curfew import Curfew, curfew_command
from harness.peers import echo

IN_TIME = 2.0 * SLOW
API = "http://127.0.0.1:9"


def config(proxy):
    return json.loads(proxy.admin_get("/config")[1])


def wait_in_force(proxy, edition):
    """The configuration that is in force in time, with this number."""
    return poll(lambda: (now := config(proxy))["edition"] == edition and now["config"], f"configuration {edition} to be in force", IN_TIME)


def deadline(proxy, edition, upstream="api"):
    return wait_in_force(proxy, edition)["upstreams"][upstream]["deadline"]


def text(top="watch: true", **deadlines):
    """A configuration with these upstreams and their deadlines."""
    lines = [line for line in (top, "admin: {listen: 127.0.0.1:0}" if top is not None else "") if line]
    return "\n".join([*lines, "upstreams:", *(f"  {name}: {{listen: 0, url: '{API}', deadline: {value}}}" for name, value in deadlines.items())]) + "\n"


@pytest.fixture
def watched(tmp_path):
    """Starts a curfew with a configuration of any shape: watched(path)."""
    made = []

    def make(path):
        made.append(Curfew(tmp_path, path))
        return made[-1]

    yield make
    for one in made:
        one.finish()


def wait_log(proxy, line):
    assert proxy.process.stderr.wait(lambda lines: any(line in one for one in lines), IN_TIME), proxy.process.stderr.text()


def count(proxy, line):
    return sum(line in one for one in proxy.process.stderr.lines)


def replace(path, content):
    new = path.with_name(".new")
    new.write_text(content)
    new.rename(path)


def test_a_file_that_is_written_to_or_replaced_is_loaded_anew(watched, tmp_path):
    path = tmp_path / "curfew.yaml"
    path.write_text(text(api="1s"))
    proxy = watched(path)
    path.write_text(text(api="2s"))
    assert deadline(proxy, 2) == "2s"
    replace(path, text(api="3s"))
    assert deadline(proxy, 3) == "3s"
    # The same size and the same date: a restored backup.
    before = path.stat()
    path.write_text(text(api="4s"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert deadline(proxy, 4) == "4s"
    assert count(proxy, f"watch: {path} has changed") == 3


def test_a_bad_file_is_told_once_and_changes_nothing(watched, tmp_path):
    path = tmp_path / "curfew.yaml"
    path.write_text(text(api="1s"))
    proxy = watched(path)
    path.write_text(text(api="2"))
    wait_log(proxy, "reload: failed, nothing has changed")
    # What would come of trying it again would have come by the time another file is in force.
    path.write_text(text(api="2s"))
    assert deadline(proxy, 2) == "2s"
    assert count(proxy, "has no unit") == count(proxy, "reload: failed") == 1
    path.unlink()
    wait_log(proxy, "No such file or directory")
    path.write_text(text(api="3s"))
    assert deadline(proxy, 3) == "3s"
    assert count(proxy, "reload: failed") == 2


def test_files_that_are_named_are_watched(curfew, upstream, certificates, tmp_path):
    up = upstream(echo)
    token, authority = tmp_path / "token", tmp_path / "ca.pem"
    token.write_text("one\n")
    authority.write_text(Path(certificates.ca).read_text())
    proxy = curfew(top={"watch": True}, upstreams={
        "api": {"url": f"http://{up.authority}", "headers": {"set": {"Authorization": {"file": str(token), "prefix": "Bearer "}}}},
        "safe": {"url": "https://127.0.0.1:9", "tls": {"ca_file": str(authority)}}})
    token.write_text("two\n")
    wait_in_force(proxy, 2)
    assert b"\r\nAuthorization: Bearer two\r\n" in proxy.ask(upstream="api").content
    replace(authority, Path(certificates.ca).read_text() + "\n")
    wait_in_force(proxy, 3)
    # One that is missing is waited for.
    token.unlink()
    wait_log(proxy, "reload: failed")
    token.write_text("three\n")
    wait_in_force(proxy, 4)
    assert b"\r\nAuthorization: Bearer three\r\n" in proxy.ask(upstream="api").content


def test_a_symbolic_link_that_moves_as_kubernetes_does_it(watched, tmp_path):
    """A volume of a ConfigMap: curfew.yaml -> ..data/curfew.yaml, ..data -> ..2026_1, which is replaced by a rename."""
    def publish(name, **deadlines):
        (tmp_path / name).mkdir()
        (tmp_path / name / "curfew.yaml").write_text(text(**deadlines))
        (tmp_path / "..data_tmp").symlink_to(name)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    publish("..2026_1", api="1s")
    path = tmp_path / "curfew.yaml"
    path.symlink_to("..data/curfew.yaml")
    proxy = watched(path)
    publish("..2026_2", api="2s")
    assert deadline(proxy, 2) == "2s"
    # The old one is removed some time afterwards: that is no change.
    (tmp_path / "..2026_1/curfew.yaml").unlink()
    publish("..2026_3", api="3s")
    assert deadline(proxy, 3) == "3s"


def test_files_that_come_into_a_directory_and_go(watched, tmp_path):
    directory = tmp_path / "conf"
    directory.mkdir()
    (directory / "10-api.yaml").write_text(text(api="1s"))
    proxy = watched(directory)
    (directory / "20-more.yaml").write_text(text(top=None, more="2s"))
    assert deadline(proxy, 2, "more") == "2s"
    # What is no part of the configuration is no change.
    (directory / "notes.txt").write_text("x")
    (directory / ".20-more.yaml.swp").write_text("x")
    replace(directory / "20-more.yaml", text(top=None, more="3s"))
    assert deadline(proxy, 3, "more") == "3s"
    (directory / "20-more.yaml").unlink()
    assert list(wait_in_force(proxy, 4)["upstreams"]) == ["api"]
    assert count(proxy, "reload: failed") == 0


def test_nothing_is_watched_unless_that_is_written(curfew, tmp_path):
    proxy = curfew(url=API, deadline="1s")
    assert config(proxy)["config"]["watch"] is False
    proxy.rewrite({"api": {"url": API, "deadline": "2s"}}, watch=True)
    proxy.process.signal(signal.SIGHUP)
    assert deadline(proxy, 2) == "2s" and config(proxy)["config"]["watch"] is True
    # Now it is, until a file says that it is not any more.
    proxy.rewrite({"api": {"url": API, "deadline": "3s"}})
    assert deadline(proxy, 3) == "3s"
    proxy.rewrite({"api": {"url": API, "deadline": "4s"}})
    proxy.must_reload()
    assert deadline(proxy, 4) == "4s" and count(proxy, "watch: ") == 1


def test_a_pipe_in_place_of_the_configuration_is_not_waited_for(watched, tmp_path):
    path = tmp_path / "curfew.yaml"
    path.write_text(text(api="1s"))
    proxy = watched(path)
    path.unlink()
    os.mkfifo(path)
    wait_log(proxy, "a pipe, which a reload could not read again; a file is needed")
    assert proxy.admin_get("/healthz")[0] == 200


def test_a_configuration_from_standard_input_can_not_be_watched():
    done = curfew_command("check", "-", stdin=text(api="1s"))
    assert done.returncode == 0 and "watch: has no effect on standard input" in done.stderr
