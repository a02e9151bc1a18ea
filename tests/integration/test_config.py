"""The configuration as people write it: what `serve` makes of it."""

import json
import os
import shutil
import signal
import stat

import pytest

from harness.bounds import SLOW
from harness.curfew import Curfew, curfew_command, write_config
from harness.peers import ok
from harness.process import BINARY, Process
from harness.service import wait_ready


@pytest.fixture
def curfew_fails(tmp_path):
    """What `serve` says of a configuration that it does not take."""
    def serve(text):
        path = tmp_path / "bad.yaml"
        path.write_text(text)
        done = curfew_command("serve", "-c", path)
        assert done.returncode == 1, done
        return done.stderr

    return serve


def mode_of(path):
    return oct(stat.S_IMODE(os.stat(path).st_mode))


# ------------------------------------------------------------------------- listeners


def test_the_file_of_a_unix_socket_has_its_mode_and_group(curfew, upstream, tmp_path):
    """From the start, and anew with each reload; the socket that is there stays open."""
    up = upstream(ok)
    group = os.getgroups()[-1] if os.geteuid() != 0 else 12345
    path, keys = tmp_path / "api.sock", {"url": up.url, "deadline": "1m30s"}
    admin = {"listen": {"address": f"unix:{tmp_path}/admin.sock", "mode": "0600"}}
    proxy = curfew(upstreams={"api": {**keys, "listen": {"address": f"unix:{path}", "mode": "0660", "group": str(group)}}},
                   top={"admin": admin})
    assert (mode_of(path), os.stat(path).st_gid) == ("0o660", group)
    assert mode_of(tmp_path / "admin.sock") == "0o600"
    caller = proxy.caller()
    assert caller.ask().content == b"ok"
    inode = os.stat(path).st_ino
    proxy.rewrite({"api": {**keys, "listen": [{"address": f"unix:{path}", "mode": "777"}]}}, admin=admin)
    proxy.must_reload()
    assert (mode_of(path), os.stat(path).st_ino) == ("0o777", inode)
    assert proxy.ask().content == caller.ask().content == b"ok"


def test_a_unix_socket_that_can_not_have_its_group_is_not_left_behind(curfew_fails, tmp_path):
    told = curfew_fails(f"""
        upstreams:
          api: {{url: "http://127.0.0.1:9", listen: {{address: "unix:{tmp_path}/x.sock", group: no-such-group}}}}
    """)
    assert 'upstreams.api.listen.group: there is no group "no-such-group"' in told
    assert not (tmp_path / "x.sock").exists()


@pytest.mark.parametrize("group, is_own", [("12345", True), ("12346", False)])
def test_who_may_not_call_chown_gives_a_socket_its_own_group_alone(tmp_path, group, is_own):
    """As under the unit's system-call filter: without CAP_CHOWN even root is refused."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv")
    config, path = tmp_path / "c.yaml", tmp_path / "x.sock"
    listener = {"address": f"unix:{path}", "mode": "0660", "group": group}
    write_config(config, {"api": {"url": "http://127.0.0.1:9", "listen": listener}}, {"log": {"access": "off"}})
    process = Process(["setpriv", "--regid=12345", "--keep-groups", "--bounding-set=-chown", BINARY, "serve", "-c", config])
    if is_own:
        wait_ready(process)
        assert (mode_of(path), os.stat(path).st_gid) == ("0o660", 12345)
        process.signal(signal.SIGTERM)
    assert process.wait_exit(10 * SLOW) == (0 if is_own else 1)
    assert is_own or f"unix:{path}: Operation not permitted: a process gives its files to groups" in process.stderr.text()
    assert not path.exists()


# ------------------------------------------------------- values from the environment and from files


def test_values_come_from_the_environment_and_from_files(upstream, tmp_path):
    """A token from a file, with its line end, behind a prefix; another one from the environment; GET /config shows neither."""
    seen = []

    def answer(exchange):
        seen.append(exchange.recv_request())
        exchange.answer(content=b"ok")

    up = upstream(answer)
    (tmp_path / "token").write_text("fromfile\r\n")
    config = tmp_path / "curfew.yaml"
    config.write_text(f"""
        admin: {{listen: "${{ADMIN:-127.0.0.1:0}}"}}
        log: {{access: "off"}}
        upstreams:
          api:
            listen: "${{LISTEN}}"
            url: http://${{UP}}
            deadline: ${{DEADLINE:-5s}}
            pool: {{size: "${{SIZE:-3}}"}}
            headers:
              set:
                Authorization: {{file: "{tmp_path}/token", prefix: "Bearer "}}
                X-Key: "${{KEY}}"
                X-Dollar: $${{KEY}} costs $5
    """)
    proxy = Curfew(tmp_path, config, env={"LISTEN": "127.0.0.1:0", "UP": up.authority, "SIZE": "", "KEY": "fromenvironment"})
    try:
        assert proxy.ask().content == b"ok"
        request = seen[-1]
        assert request["authorization"] == "Bearer fromfile"
        assert request["x-key"] == "fromenvironment"
        assert request["x-dollar"] == "${KEY} costs $5"
        told = proxy.admin_get("/config")[1]
        assert "fromfile" not in told and "fromenvironment" not in told and "Bearer" not in told
        assert '"5s"' in told and json.loads(told)["config"]["pools"]["api"]["size"] == 3
    finally:
        proxy.finish()


def test_a_variable_that_is_not_set_is_an_error_with_its_place(curfew_fails):
    told = curfew_fails("upstreams:\n  api: {listen: 8080, url: 'http://a', headers: {set: {A: '${NO_SUCH} x'}}}\n")
    assert ":2:59: upstreams.api.headers.set.A: the environment has no variable NO_SUCH; ${NO_SUCH:-default} has a value" in told
