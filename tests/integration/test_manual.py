"""Man pages and shell completions: that they are what curfew says of itself, and that they work."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.curfew import curfew_command
from harness.process import BINARY, run

TREE = Path(__file__).resolve().parents[2]
COMMANDS = re.findall(r"^  (\w+) ", curfew_command("--help").stdout, re.M)


def test_manual_and_completions_are_what_curfew_says():
    done = run([TREE / "scripts/manual", "--check", BINARY])
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stale_page_is_found_out(tmp_path):
    copy = tmp_path / "tree"
    for name in ("scripts", "man", "completion", "conf", "include", "src/admin"):
        shutil.copytree(TREE / name, copy / name)
    page = copy / "man/curfew.1"
    page.write_text(page.read_text().replace("deadline", "dateline"))
    (copy / "completion/_curfew").unlink()
    done = run([copy / "scripts/manual", "--check", BINARY])
    assert done.returncode == 1
    assert done.stderr.count("make docs") == 2 and "man/curfew.1" in done.stderr and "completion/_curfew" in done.stderr


def test_the_manual_names_every_page_of_the_admin_listener(curfew):
    proxy = curfew(url="http://127.0.0.1:9")
    served = [line.split()[0] for line in proxy.admin_get("/")[1].splitlines()]
    section = (TREE / "man/curfew.1").read_text().split(".SH ADMIN LISTENER")[1].split(".SH")[0]
    assert "/config" in served and re.findall(r"^\\fB(\S+)\\fR", section, re.M) == served


@pytest.mark.parametrize("page", ["curfew.1", "curfew.yaml.5"])
def test_a_page_is_well_formed(page):
    done = run(["groff", "-K", "utf8", "-man", "-Tutf8", "-ww", "-z", TREE / "man" / page])
    assert (done.returncode, done.stderr) == (0, "")


def test_the_manual_names_every_command_and_option():
    text = re.sub(r"\\f[BR]", " ", (TREE / "man/curfew.1").read_text()).replace("\\-", "-")
    assert COMMANDS
    for command in COMMANDS:
        assert f".SS curfew {command}\n" in text
        for option in options_of(command):
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", text), (command, option)


def test_the_manual_names_every_key():
    keys = re.findall(r'^(?:OPTION|NESTED)\(\w+, \w+, "(\w+)"', (TREE / "include/config/options.def").read_text(), re.M)
    entries = re.findall(r"^\\fB([\w.]+)\\fR", (TREE / "man/curfew.yaml.5").read_text(), re.M)
    assert keys and set(keys) == {entry.split(".")[-1] for entry in entries}


def test_the_examples_show_every_key():
    keys = re.findall(r'^(?:OPTION|NESTED)\(\w+, \w+, "(\w+)"', (TREE / "include/config/options.def").read_text(), re.M)
    shown = "\n".join(path.read_text() for path in (TREE / "conf/examples").glob("*.yaml"))
    assert keys and [key for key in keys if not re.search(rf"(?<!\w){key}:", shown)] == []


def options_of(command):
    return re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", "\n".join(
        line.split("  ")[1] for line in curfew_command(command, "--help").stdout.splitlines() if line.startswith("  -")))


def complete(*words, cwd=TREE):
    """What bash offers for the last word."""
    script = f"""
        source {shlex.quote(str(TREE / "completion/curfew.bash"))}
        COMP_WORDS=({shlex.join(["curfew", *words])}) COMP_CWORD={len(words)}
        $(complete -p curfew | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return set(done.stdout.split())


def test_bash_offers_the_commands():
    assert complete("") == {*COMMANDS, "--help", "--version"}
    assert complete("ch") == {name for name in COMMANDS if name.startswith("ch")}


@pytest.mark.parametrize("command", COMMANDS)
def test_bash_offers_the_options_of_each_command(command):
    assert complete(command, "-") == set(options_of(command))


def test_bash_offers_files_where_files_are_due():
    assert complete("serve", "-c", "conf/qu") == {"conf/quickstart.yaml"}
    assert complete("check", "conf/qu") == {"conf/quickstart.yaml"}
    assert complete("explain", "--upstream", "conf/qu") == set()
    assert complete("version", "conf/qu") == set()
