"""Command lines: which configuration is meant, and why a line is not understood."""

import os
import shutil

import pytest

from harness.curfew import curfew_command
from harness.process import BINARY, run

# What follows each command where a configuration may stand, and before it.
COMMANDS = {"serve": [], "reload": [], "top": ["--once"], "calls": [], "advise": [], "check": [], "explain": ["GET", "/x"]}
# An empty one counts as unset.
NO_VARIABLE = {"CURFEW_CONFIG": ""}


@pytest.fixture
def broken(tmp_path):
    """A configuration that every command refuses with its name."""
    path = tmp_path / "broken.yaml"
    path.write_text("a: [\n")
    return path


def names(done, path):
    return done.returncode == 1 and f"{path}:2:1: not valid YAML" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_the_configuration_is_named_by_an_option_an_argument_or_a_variable(command, broken):
    more = COMMANDS[command]
    assert names(curfew_command(command, "-c", broken, *more), broken)
    assert names(curfew_command(command, broken, *more), broken)
    by_variable = {"CURFEW_CONFIG": str(broken)}
    assert names(curfew_command(command, *more, env=by_variable), broken)
    # What is written goes before the variable.
    done = curfew_command(command, "-c", "/none.yaml", *more, env=by_variable)
    assert done.returncode == 1 and "/none.yaml: No such file" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_word_the_configuration_is_that_of_etc(command, broken):
    unshare = shutil.which("unshare")
    wrap = [unshare, "--mount", "sh", "-c", 'mount -t tmpfs curfew /etc && mkdir /etc/curfew && cp "$0" /etc/curfew/curfew.yaml && exec "$@"']
    if os.geteuid() != 0 or not unshare or run([*wrap, broken, "true"]).returncode != 0:
        pytest.skip("needs a mount namespace")
    done = run([*wrap, broken, BINARY, command, *COMMANDS[command]], env=NO_VARIABLE)
    assert names(done, "/etc/curfew/curfew.yaml"), done


@pytest.mark.parametrize("command", COMMANDS)
def test_no_configuration_at_all_is_wrong_usage(command):
    if os.path.exists("/etc/curfew/curfew.yaml"):
        pytest.skip("there is one here")
    done = curfew_command(command, *COMMANDS[command], env=NO_VARIABLE)
    assert done.returncode == 2 and done.stdout == ""
    assert "no configuration is named, and there is no /etc/curfew/curfew.yaml" in done.stderr


def test_a_file_by_argument_serves_every_command(curfew, tmp_path):
    proxy = curfew(url="http://127.0.0.1:9", top={"admin": {"listen": f"unix:{tmp_path}/admin.sock"}})
    for args in (["reload"], ["top", "--once", "-d", "100ms"], ["calls"], ["advise"], ["check"]):
        done = curfew_command(*args, proxy.config)
        assert (done.returncode, done.stderr) == (0, ""), done
    done = curfew_command("explain", proxy.config, "GET", "/x")
    assert done.returncode == 0 and "deadline" in done.stdout


@pytest.mark.parametrize("line, reason", [
    ("", "curfew: a command is missing"),
    ("chek x", 'curfew: unknown command "chek"; did you mean "check"?'),
    ("--surf", 'curfew: unknown command "--surf"'),
    ("help surf", 'curfew: unknown command "surf"'),
    ("help check x", 'curfew: help: unexpected argument "x"'),
    ("version x", 'curfew: version: unexpected argument "x"'),
    ("serve --surf", "curfew: serve: unknown option --surf"),
    ("serve -x", "curfew: serve: unknown option -x"),
    ("serve -c", "curfew: serve: -c needs a value"),
    ("serve --config", "curfew: serve: --config needs a value"),
    ("serve --config=", "curfew: serve: the name of the configuration is empty"),
    ("serve -c x more", 'curfew: serve: unexpected argument "more": the configuration is "x" already'),
    ("check a b", 'curfew: check: unexpected argument "b": the configuration is "a" already'),
    ("check --strikt x", "curfew: check: unknown option --strikt; did you mean --strict?"),
    ("check --strict=yes x", "curfew: check: --strict takes no value"),
    ("check --st x", "curfew: check: several options begin with --st"),
    ("check --descriptors many x", 'curfew: check: --descriptors is a whole number, not "many"'),
    ("check --memory 5 x", 'curfew: check: --memory is a size, as in 512MiB, not "5"'),
    ("check --stop-timeout 5 x", 'curfew: check: --stop-timeout is a duration, as in 90s, not "5"'),
    ("reload --admin a b", 'curfew: reload: --admin says where: the configuration "b" has no use'),
    ("calls -c b --admin a", 'curfew: calls: --admin says where: the configuration "b" has no use'),
    ("calls --admin a --cut 1 --older 1s", "curfew: calls: --cut is for one call: filters have no use"),
    ("top --admin a -d 1", 'curfew: top: --delay is a duration from 100ms to 1h, not "1"'),
    ("advise --admin a -f 99%", 'curfew: advise: --false-timeouts is a rate from 0.0001% to 50%, not "99%"'),
    ("advise --admin a" + " -f 1%" * 9, "curfew: advise: --false-timeouts comes more than 8 times"),
    ("explain -c x", "curfew: explain: METHOD and URL are missing"),
    ("explain -c x GET", "curfew: explain: METHOD or URL is missing"),
    ("explain -c x y GET /", 'curfew: explain: unexpected argument "y": the configuration is "x" already'),
    ("faulty", "curfew faulty: --listen is missing"),
])
def test_wrong_usage_has_a_reason_on_the_first_line(line, reason):
    done = curfew_command(*line.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == reason
    assert "--help" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", [*COMMANDS, "faulty", "help", "version"])
def test_help_comes_in_three_ways(command):
    texts = {curfew_command(*args).stdout for args in (["help", command], [command, "--help"], [command, "-h"])}
    assert len(texts) == 1 and f"curfew {command}" in texts.pop()


def test_help_and_version_have_short_names():
    assert curfew_command("-h").stdout == curfew_command("help").stdout == curfew_command("--help").stdout
    assert curfew_command("-v").stdout == curfew_command("--version").stdout == curfew_command("version").stdout != ""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_where_the_configuration_is_looked_for(command):
    text = curfew_command("help", command).stdout
    assert "-c, --config FILE" in text and "$CURFEW_CONFIG" in text and "/etc/curfew/curfew.yaml" in text
