"""Runs rows of the matrix, many at a time, and prints the grid."""

import contextlib
import shutil
import signal
import socket
import ssl
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.bounds import SLOW, poll, writable
from harness.certs import Certificates
from harness.curfew import Curfew, write_config
from harness.peers import ScriptedUpstream
from harness.programs import NameServer, with_resolver

from .cell import FAR, Cell
from .events import EVENTS, STREAM_EVENTS
from .pair_cell import PairCell
from .pairs import CALLERS, PAIRS, PairTable
from .policies import SITUATIONS
from .table import TRANSPORTS, Table
from .watch import Watch

GROUPS_AT_A_TIME = 5
ALL_EVENTS = {**EVENTS, **STREAM_EVENTS}

PASSED, FAILED, IMPOSSIBLE, NOT_RUN = "ok", "FAILED", "-", "not run"


class Setting:
    """What all cells share."""

    def __init__(self, directory, certificates=None):
        self.directory = directory
        if not certificates:
            (directory / "certificates").mkdir()
            certificates = Certificates(directory / "certificates")
        self.certificates = certificates
        self._contexts = {(name, None): certificates.server(name) for name in ("server", "untrusted")}
        self._taken = None
        self.name_server, self.wrap = None, ()
        with contextlib.suppress(PermissionError):
            self.name_server = NameServer({})
            self.wrap = with_resolver(directory, self.name_server.host, timeout=30)

    def context(self, certificate, alpn=None):
        """Of an upstream."""
        key = (certificate, alpn)
        if key not in self._contexts:
            self._contexts[key] = context = self.certificates.server(certificate)
            context.set_alpn_protocols([alpn])
        return self._contexts[key]

    def client_context(self, alpn):
        """Of a caller."""
        if alpn not in self._contexts:
            self._contexts[alpn] = context = ssl.create_default_context(cafile=self.certificates.ca)
            context.set_alpn_protocols([alpn])
        return self._contexts[alpn]

    def kernel_takes(self):
        """How many bytes the kernel takes for a caller with the smallest buffer who does not read."""
        self._taken = self._taken or _kernel_takes()
        return self._taken

    def close(self):
        if self.name_server:
            self.name_server.close()


def _kernel_takes():
    with socket.socket() as listener, socket.socket() as reader:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        reader.connect(listener.getsockname())
        writer, _ = listener.accept()
        with writer:
            writer.setblocking(False)
            taken, idle_rounds = 0, 0
            while idle_rounds < 5:
                try:
                    taken += writer.send(bytes(16384))
                    idle_rounds = 0
                except BlockingIOError:
                    writable(writer, 0.02)  # the rest moves to the reader's side
                    idle_rounds += 1
            return taken


class Result:
    def __init__(self, how, why=""):
        self.how = how
        self.why = why


class Group:
    """Cells that share a curfew: of one situation, or those that one signal hits all together."""

    def __init__(self, name, cells, setting):
        self.name = name
        self.cells = cells
        self.setting = setting
        self.together = cells[0].event.together
        self.directory = setting.directory / name
        self.results = {}
        self.proxy = self.watch = None

    def _write_config(self, pool_size):
        top = {"workers": 1, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": str(self.directory / "access.log")},
               **self.cells[0].situation.top(self.cells[0].event)}
        top["drain"] = FAR if self.together == "drain" else "0s"
        if self.together == "reload":
            top["pools"] = {cell.name: {"size": pool_size + cell.situation.permits - 1, "queue": 2, **cell.situation.pool_keys(cell)} for cell in self.cells}
        upstreams = {name: keys for cell in self.cells for name, keys in cell.config().items()}
        write_config(self.directory / "curfew.yaml", upstreams, top)

    def run(self):
        try:
            self._run()
        except Exception:  # pylint: disable=broad-except
            for cell in self.cells:
                self.results.setdefault(cell.row.id, Result(FAILED, traceback.format_exc()))

    def _run(self):
        self.directory.mkdir()
        self._write_config(pool_size=2)
        self.proxy = Curfew(self.directory, self.directory / "curfew.yaml", wrap=self.setting.wrap or ())
        self.watch = Watch(self.proxy)
        try:
            for cell in self.cells:
                cell.proxy, cell.watch = self.proxy, self.watch
            getattr(self, f"_run_{self.together or 'each'}")()
        finally:
            self.watch.close()
            for cell in self.cells:
                cell.close()
            self.proxy.finish()
        self._all_fail_if(self.watch.complaints)

    def _all_fail_if(self, complaints):
        for cell in self.cells if complaints else ():
            self.results[cell.row.id] = Result(FAILED, f"scrapes of the group: {sorted(complaints)}")

    def _for_each(self, step):
        """One step of all cells at once; those that have failed do not go on."""
        going_on = [cell for cell in self.cells if cell.row.id not in self.results]
        with ThreadPoolExecutor(max(1, len(going_on))) as threads:
            list(threads.map(lambda cell: self._try(step, cell), going_on))

    def _try(self, step, cell):
        try:
            step(cell)
        except Exception:  # pylint: disable=broad-except
            self.results[cell.row.id] = Result(FAILED, traceback.format_exc())

    def _pass(self, cell):
        self.results[cell.row.id] = Result(PASSED)

    def _run_each(self):
        def one(cell):
            cell.situation.enter(cell)
            cell.event.hit(cell)
            cell.check()
            self._pass(cell)

        self._for_each(one)

    def _run_shutdown(self):
        self._for_each(lambda cell: cell.situation.enter(cell))
        self.watch.close()
        self.proxy.process.signal(signal.SIGTERM)
        assert self.proxy.process.wait_exit(10 * SLOW) == 0

        self._for_each(lambda cell: cell.check_answer())
        self._check_after_the_end()

    def _check_after_the_end(self):
        def one(cell):
            cell.check_after_the_end()
            self._pass(cell)

        self._for_each(one)

    def _run_drain(self):
        def finish(cell):
            cell.event.hit(cell)
            cell.check_answer()
            cell.situation.let_pass(cell)

        self._for_each(lambda cell: cell.situation.enter(cell))
        self.watch.close()
        self.proxy.process.signal(signal.SIGTERM)
        self._for_each(finish)
        assert self.proxy.process.wait_exit(10 * SLOW) == 0
        self._check_after_the_end()

    def _run_reload(self):
        def fill(cell):
            cell.hold_one_more()
            cell.situation.enter(cell)

        def one(cell):
            cell.pool_has_shrunk()
            cell.event.hit(cell)
            cell.serve_late()
            cell.check()
            self._pass(cell)

        self._for_each(fill)
        self._write_config(pool_size=1)
        self.proxy.process.signal(signal.SIGHUP)
        self.watch.wait(lambda sample: sample.sum("config_reloads_total", result="success") == 1, "the reload")
        self._for_each(one)


class _Trial:
    """A curfew with one call in flight, to see what it does with a signal."""

    def __init__(self, setting, name):
        directory = setting.directory / name
        directory.mkdir()
        self.up = ScriptedUpstream()
        write_config(directory / "curfew.yaml", {"api": {"url": self.up.url}},
                     {"workers": 1, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": "off"}, "drain": FAR})
        self.proxy = Curfew(directory, directory / "curfew.yaml")
        self.caller = self.proxy.caller()
        self.caller.request()
        self.exchange, _ = self.up.take()

    def close(self):
        self.caller.close()
        self.up.close()
        self.proxy.finish()


def can_reload(setting):
    """Does this curfew load a new configuration at SIGHUP?"""
    trial = _Trial(setting, "can-reload")
    try:
        trial.proxy.process.signal(signal.SIGHUP)
        with contextlib.suppress(AssertionError):
            trial.proxy.wait_metric("curfew_config_reloads_total", 1, seconds=1)
            return True
        return False
    finally:
        trial.close()


def can_drain(setting):
    """Do calls in flight go on after a SIGTERM?"""
    trial = _Trial(setting, "can-drain")
    try:
        trial.proxy.process.signal(signal.SIGTERM)
        return poll(lambda: _is_draining(trial), "draining, or the end") == "draining"
    finally:
        trial.exchange.close()
        trial.caller.close()
        trial.proxy.process.wait_exit(10 * SLOW)
        trial.close()


def _is_draining(trial):
    if trial.caller.has_bytes():
        return "over"
    with contextlib.suppress(OSError):
        return "draining" if trial.proxy.admin_get("/readyz")[0] == 503 else None
    return None


# What a signal has to do for the rows of the cells that it hits together.
NEEDED = {
    "reload": (can_reload, "this curfew does not load a new configuration at SIGHUP"),
    "drain": (can_drain, "this curfew does not wait for calls at SIGTERM"),
}


def _groups(rows, setting):
    cells = {}
    for number, row in enumerate(rows):
        situation, event = SITUATIONS[row.situation], ALL_EVENTS[row.event]
        key = event.together or row.situation.replace("/", "-") + ("-limit" if situation.top(event) else "")
        if hasattr(row, "pair"):
            key += "-" + (row.pair[0] if event.together else "-".join(row.pair))
        make = PairCell if hasattr(row, "pair") else Cell
        cells.setdefault(key, []).append(make(number, row, situation, event, setting))
    return [Group(name, of_one, setting) for name, of_one in cells.items()]


def run(rows, directory, certificates=None):
    """Runs these rows: {row.id: Result}."""
    results = {row.id: Result(IMPOSSIBLE, row.why_not) for row in rows if row.why_not}
    setting = Setting(directory, certificates)
    try:
        possible = [row for row in rows if not row.why_not]
        if not setting.wrap:
            for row in [row for row in possible if SITUATIONS[row.situation].needs_names]:
                results[row.id] = Result(NOT_RUN, "port 53 and a mount namespace need root")
        for together, (is_able, why) in NEEDED.items():
            hit = [row for row in possible if ALL_EVENTS[row.event].together == together]
            if hit and not is_able(setting):
                results.update({row.id: Result(NOT_RUN, why) for row in hit})
        groups = _groups([row for row in possible if row.id not in results], setting)
        with ThreadPoolExecutor(GROUPS_AT_A_TIME) as threads:
            list(threads.map(Group.run, groups))
        for group in groups:
            results.update(group.results)
    finally:
        setting.close()
    return results


# ------------------------------------------------------------------------------------------ the grid


def _short(event):
    return event.replace("upstream", "u.").replace("caller", "c.").replace("the ", "")


def print_grid(title, rows, events, results):
    """Situations by events."""
    situations = list(dict.fromkeys(row.situation for row in rows))
    width = max(map(len, [title, *situations])) + 1
    how = {(row.situation, row.event): results[row.id].how for row in rows}
    print(f"\n{title:{width}}" + "".join(f"{number + 1:>5}" for number in range(len(events))))
    for situation in situations:
        cells = [how.get((situation, event), IMPOSSIBLE) for event in events]
        print(f"{situation:{width}}" + "".join(f"{_mark(cell):>5}" for cell in cells))


def _mark(how):
    return {FAILED: "FAIL", NOT_RUN: "n/r"}.get(how, how)


def _print_all(table, pairs, results):
    """For a plain upstream and one behind TLS, and then for each pair of protocols."""
    events = list(ALL_EVENTS)
    for number, event in enumerate(events):
        print(f"  {number + 1:2}  {event}")
    for transport in TRANSPORTS:
        print_grid(transport, [row for row in table.rows if row.transport == transport], events, results)
        for pair in PAIRS:
            rows = [row for row in pairs if (row.pair, row.transport) == (pair, transport)]
            if rows:
                print_grid(f"{' > '.join(pair)}, {transport}", rows, events, results)
    for state, reason in table.excluded.items():
        print(f"{state}: {reason}")


def _run_all(rows):
    directory = Path(tempfile.mkdtemp(prefix="curfew-matrix"))
    results = {}
    try:
        for part, some in rows.items():
            (directory / part).mkdir()
            results.update(run(some, directory / part))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return results


def main():
    start = time.monotonic()
    table, of_pairs = Table(), PairTable()
    missing = table.missing(EVENTS) + of_pairs.missing(EVENTS)
    for complaint in missing:
        print(complaint)
    pairs = [row for row in of_pairs.rows if not row.is_of_matrix]
    results = _run_all({"all": table.rows, **{caller: [row for row in pairs if row.pair[0] == caller] for caller in CALLERS}})
    _print_all(table, pairs, results)
    count = {how: sum(result.how == how for result in results.values())
             for how in (PASSED, IMPOSSIBLE, NOT_RUN, FAILED)}
    for row in [*table.rows, *pairs]:
        if results[row.id].how == FAILED:
            print(f"\n{FAILED}: {row.id}: {results[row.id].why}")
    for why, rows in Counter(result.why for result in results.values() if result.how == NOT_RUN).items():
        print(f"\nnot run: {rows} rows, because {why}")
    states = {situation.split("/")[0] for situation in table.situations} | set(table.excluded)
    print(f"\n{len(states)} states ({len(table.situations)} situations) x {len(ALL_EVENTS)} events, {len(PAIRS)} pairs of protocols, "
          f"plain and TLS: {count[PASSED]} passed, {count[IMPOSSIBLE]} can't happen, {count[NOT_RUN]} not run, "
          f"{len(missing)} missing, {count[FAILED]} failing, in {time.monotonic() - start:.1f} s")
    return 1 if missing or count[FAILED] else 0
