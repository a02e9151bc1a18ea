"""The configuration as people write it: what `serve` makes of it."""

import os
import stat

import pytest

from harness.curfew import curfew_command
from harness.peers import ok


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
