"""matrix.txt as data, and whether it is whole."""

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
TREE = HERE.parents[2]
TABLE = HERE / "matrix.txt"
NOT_PROVOKED = "causes that no row provokes"
TRANSPORTS = ("plain", "tls")

_SECTION = re.compile(r"\[([^]]+)\] *(?:-- )?(.*)")
_STATE = re.compile(r"^(?:CALL|TRY)_STATE\((\w+), \w+, ([^,]*), (\S.*)\)$", re.M)
_CAUSE = re.compile(r'^CAUSE\(\w+, "(\w+)", (\w+),', re.M)
_OUTCOME = re.compile(r"(completed|failed|rejected): (\w+)|(stuck|abandoned) in (\w+): (\w+)|no call")


class Row:
    """What has to become of a call; `why_not` is set where the event can't happen."""

    def __init__(self, situation, event, transport, cells):
        self.situation = situation
        self.event = event
        self.transport = transport
        self.cells = cells
        self.why_not = cells[0][3:] if cells[0].startswith("-- ") else None
        self.outcome = self.cause = self.phase = self.result_class = None
        if self.why_not:
            return
        outcome, self.answer, self.caller, self.upstream = cells
        match = _OUTCOME.fullmatch(outcome)
        if not match:
            raise ValueError(f"{situation}, {event}: what is {outcome!r}?")
        if match[1] == "completed":
            self.outcome, self.result_class = match[1], match[2]
        elif match[1]:
            self.outcome, self.cause = match[1], match[2]
        elif match[3]:
            self.outcome, self.phase, self.cause = match[3], match[4], match[5]

    @property
    def label(self):
        """The one label of the counter that counts the outcome."""
        return {"completed": {"class": self.result_class}, "stuck": {"phase": self.phase},
                "abandoned": {"phase": self.phase}}.get(self.outcome, {"reason": self.cause})

    @property
    def cut_by(self):
        """The error of a response that is cut."""
        return self.answer.split()[1] if self.answer.startswith("cut ") else None

    @property
    def id(self):
        return f"{self.situation}-{self.event}-{self.transport}".replace(" ", "_")


class Table:
    def __init__(self, text=None):
        self.situations = {}  # name to description
        self.excluded = {}    # a state that no event can hit, to the reason
        self.not_provoked = {}
        self.rows = []
        self._only = {}
        section = None
        for line in (text or TABLE.read_text("utf-8")).splitlines():
            if not line or line.startswith("#"):
                continue
            if match := _SECTION.fullmatch(line):
                section = match[1]
                self._open(section, line, match[2])
            elif section == NOT_PROVOKED:
                cause, reason = line.split(" -- ")
                self.not_provoked[cause.strip()] = reason.strip()
            else:
                self._row(section, [cell.strip() for cell in line.split("|")])

    def _open(self, section, line, said):
        if section == NOT_PROVOKED:
            return
        if "] -- " in line:
            self.excluded[section] = said
            return
        transport = re.search(r" \((plain|tls)\)$", said)
        self.situations[section] = said
        self._only[section] = (transport[1],) if transport else TRANSPORTS

    def _row(self, situation, cells):
        event = re.fullmatch(r"(?:\((plain|tls)\) )?(.*)", cells[0])
        for transport in (event[1],) if event[1] else self._only[situation]:
            self.rows.append(Row(situation, event[2], transport, cells[1:]))

    def transports(self, situation):
        """By which its upstream can be reached."""
        return self._only.get(situation, ())

    def missing(self, events):
        """What the table does not say, or says of something that does not exist: a list of complaints."""
        states = live_states()
        described = {situation.split("/")[0] for situation in self.situations}
        found = [f"no section for the state {state}" for state in states if state not in described | set(self.excluded)]
        found += [f"a section for {state}, which is no state" for state in described if state not in states]
        seen = [(row.situation, row.event, row.transport) for row in self.rows]
        for situation in self.situations:
            wanted = {(situation, event, transport) for event in events for transport in self._only[situation]}
            found += [f"no row for {' / '.join(cell)}" for cell in sorted(wanted - set(seen))]
        found += [f"a row for {' / '.join(cell)}, which is no event" for cell in seen if cell[1] not in events]
        found += [f"more than one row for {' / '.join(cell)}" for cell in sorted(set(seen)) if seen.count(cell) > 1]
        return found + self._missing_causes()

    def _missing_causes(self):
        provoked = {row.cause for row in self.rows if not row.why_not and row.cause}
        known = call_causes()
        found = [f"nothing provokes the cause {cause}" for cause in known
                 if cause not in provoked and cause not in self.not_provoked]
        found += [f"the cause {cause} is provoked after all" for cause in self.not_provoked if cause in provoked]
        return found + [f"{cause} is no cause of include/core/causes.def"
                        for cause in [*provoked, *self.not_provoked] if cause not in known]


def live_states(calls=None, tries=None):
    """The states in which there is still something that can be hit: of a call that has no try
    (include/core/call_states.def), and of a try (try_states.def), once it has begun."""
    calls = _STATE.findall(calls or (TREE / "include/core/call_states.def").read_text())
    tries = _STATE.findall(tries or (TREE / "include/core/try_states.def").read_text())
    return [state for state, holds, following in calls if following != "0" and "A" not in holds] + [
        state for state, holds, following in tries if following != "0" and holds != "0"]


def call_causes():
    """The causes of include/core/causes.def that end a call early."""
    rows = _CAUSE.findall((TREE / "include/core/causes.def").read_text())
    return [reason for reason, outcome in rows if outcome not in ("COMPLETED", "NOT_A_CALL")]
