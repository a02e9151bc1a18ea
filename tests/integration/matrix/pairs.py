"""
The matrix on all pairs of protocols: callers that speak HTTP/1.1, HTTP/2 or gRPC, and APIs that speak HTTP/1.1 or HTTP/2,
without TLS and with TLS on both sides. Each row of matrix.txt whose situation is in pairs.txt is the pair's too, as it
looks there: of_caller and _by_rule say what differs by rule, pairs.txt where there is none.
"""

import re

from .table import HERE, TRANSPORTS, Row, Table, live_states

PAIRS_TABLE = HERE / "pairs.txt"
CALLERS, APIS = ("h1", "h2", "grpc"), ("h1", "h2")
PAIRS = tuple((caller, api) for caller in CALLERS for api in APIS)
# Those that one protocol alone has, beside the events of matrix.txt.
OF_H2_CALLERS = ("caller resets the stream", "caller goes away")
OF_H2_APIS = ("upstream resets the stream", "upstream refuses the stream", "upstream goes away")
ENDING = ("shutdown", "drain", "caller goes away")  # the connection ends with its last stream

_SECTION = re.compile(r"\[(\S+)\]")
# docs/grpc.md: what becomes of a status of HTTP, and of a queue's 503.
_GRPC_STATUS = {"400": 13, "404": 12, "413": 8, "431": 8, "500": 13, "502": 14, "503": 8, "504": 4}


def is_of_pair(event, pair):
    """Can it happen between these two at all?"""
    return (event not in OF_H2_CALLERS or pair[0] != "h1") and (event not in OF_H2_APIS or pair[1] == "h2")


def told_grpc(outcome, answer):
    """How an answer of curfew's own looks to a gRPC caller."""
    kind, *more = answer.split()
    if kind == "cut":
        return "trailers 4 http_response_timeout" if outcome.startswith("stuck") else f"trailers 14 {more[0]}"
    if not kind.isdigit() or not more:
        return answer
    return f"status {14 if outcome.endswith('draining') and kind == '503' else _GRPC_STATUS[kind]} {' '.join(more)}"


def of_caller(caller, event, cells):
    """A stream ends, and its connection stays, but where curfew winds it down."""
    if caller == "h1" or cells[0].startswith("-- "):
        return cells
    outcome, answer, kept, upstream = cells
    if answer.startswith("cut "):
        answer = answer.replace("cut", "reset") if caller == "h2" else told_grpc(outcome, answer)
    elif caller == "grpc":
        answer = told_grpc(outcome, answer)
    if kept == "closed" and event not in ENDING:
        kept = "kept"
    return [outcome, answer, kept, upstream]


class PairRow(Row):
    def __init__(self, pair, situation, event, transport, cells):
        super().__init__(situation, event, transport, cells)
        self.pair = pair

    @property
    def is_of_matrix(self):
        """It is matrix.txt's own, and run with that."""
        return (self.pair, self.transport) == (("h1", "h1"), "plain")

    @property
    def cut_by(self):
        if self.answer.startswith("trailers ") and self.outcome == "stuck":
            return "http_response_incomplete"  # the caller is told why, the log how
        return self.answer.split()[-1] if self.answer.startswith(("reset h", "trailers ")) else super().cut_by

    @property
    def id(self):
        return f"{'-'.join(self.pair)}-{super().id}"


class PairTable:
    def __init__(self, text=None, matrix=None):
        self.matrix = matrix or Table()
        self._base = {(row.situation, row.event, row.transport): row.cells for row in self.matrix.rows}
        self.situations = []
        self._own = {}  # (situation, event, transport, pair) to cells
        section = None
        for line in (text or PAIRS_TABLE.read_text("utf-8")).splitlines():
            if not line or line.startswith("#"):
                continue
            if match := _SECTION.match(line):
                section = match[1]
                self.situations.append(section)
            else:
                self._exception(section, [cell.strip() for cell in line.split("|")])
        self.rows = [row for row in self._all() if row]

    def _exception(self, situation, cells):
        """`(tls) event | callers > apis | ...`; the last one that fits counts."""
        event = re.fullmatch(r"(?:\((plain|tls)\) )?(.*)", cells[0])
        callers, apis = cells[1].split(" > ")
        for transport in (event[1],) if event[1] else TRANSPORTS:
            for caller in CALLERS if callers == "*" else callers.split(","):
                for api in APIS if apis == "*" else apis.split(","):
                    self._own[situation, event[2], transport, (caller, api)] = cells[2:]

    def events(self, base):
        return [*base, *OF_H2_CALLERS, *OF_H2_APIS]

    def cells(self, situation, event, transport, pair, depth=0):
        """What happens there: none if the table does not say so."""
        own = self._own.get((situation, event, transport, pair)) or \
            self._own.get((situation, "*", transport, pair)) or self._by_rule(event, pair)
        if own and own[0].startswith("= "):
            same = self.cells(situation, own[0][2:], transport, pair, depth + 1) if depth < 3 else None
            return same and same[:1] + [other or as_there for other, as_there in zip(own[1:] or ["", "", ""], same[1:])]
        own = own or self._base.get((situation, event, transport))
        return own and of_caller(pair[0], event, own)

    @staticmethod
    def _by_rule(event, pair):
        """Cells that go before those of matrix.txt."""
        if not is_of_pair(event, pair):
            return ["-- no HTTP/2 there"]
        if pair[0] == "h1":
            return None
        return {
            "caller half-closes": ["= caller closes"],  # whose socket is closed has left
            "caller breaks the framing": ["= caller closes", "goaway 1", "", ""],  # the framing is the connection's
            "caller resets the stream": ["= caller closes", "", "kept", ""],
            "caller goes away": ["= pool shrinks", "", "closed", "reusable"],
        }.get(event)

    def _all(self):
        events = sorted({event for _, event, _ in self._base} | set(OF_H2_CALLERS) | set(OF_H2_APIS))
        for situation in self.situations:
            for event in events:
                for transport in self.matrix.transports(situation):
                    for pair in PAIRS:
                        cells = self.cells(situation, event, transport, pair)
                        yield cells and PairRow(pair, situation, event, transport, cells)

    def missing(self, events):
        """What the table does not say, or says twice or of nothing: a list of complaints."""
        covered = {situation.split("/")[0] for situation in self.situations}
        found = [f"no situation of the state {state}" for state in live_states()
                 if state not in covered | set(self.matrix.excluded)]
        found += [f"{situation} is no situation of matrix.txt" for situation in self.situations
                  if situation not in self.matrix.situations]
        seen = {(row.situation, row.event, row.transport, row.pair) for row in self.rows}
        wanted = {(situation, event, transport, pair) for situation in self.situations for event in self.events(events)
                  for transport in self.matrix.transports(situation) for pair in PAIRS}
        found += [f"no row for {situation} / {event} / {transport} / {' > '.join(pair)}"
                  for situation, event, transport, pair in sorted(wanted - seen)]
        return found + [f"an exception for {' / '.join(key[:3])}, which is nothing"
                        for key in sorted(set(self._own) - wanted) if key[1] != "*" and key[2] in self.matrix.transports(key[0])]
