"""The fault matrix on all pairs of protocols (matrix/pairs.py), row by row: {HTTP/1.1, HTTP/2, gRPC} x {HTTP/1.1, HTTP/2}."""

import pytest

from harness.bounds import SANITIZED
from matrix import run
from matrix.events import EVENTS
from matrix.pairs import PAIRS, PAIRS_TABLE, PairTable

# It measures what the kernel takes for a caller who does not read.
pytestmark = pytest.mark.alone

TEXT = PAIRS_TABLE.read_text("utf-8")
TABLE = PairTable(TEXT)
# A reload of all cells' upstreams takes longer than a limit under a sanitizer, beside another test: there matrix.txt's suffice.
ROWS = {row.id: row for row in TABLE.rows if not row.why_not and not row.is_of_matrix and not (SANITIZED and "pool_shrinks" in row.id)}


@pytest.fixture(scope="module")
def results(request, certificates, tmp_path_factory):
    """Those of a kind of caller, all of its rows that were selected run together: they spend their time waiting."""
    chosen = {item.callspec.params["row"] for item in request.session.items if "row" in getattr(item, "fixturenames", ())}
    done = {}

    def of(caller):
        if caller not in done:
            rows = [row for row in ROWS.values() if row.id in chosen and row.pair[0] == caller]
            done[caller] = run.run(rows, tmp_path_factory.mktemp(f"pairs-{caller}"), certificates)
        return done[caller]

    return of


@pytest.mark.parametrize("row", ROWS)
def test_row(results, row):
    result = results(ROWS[row].pair[0])[row]
    if result.how == run.NOT_RUN:
        pytest.skip(result.why)
    assert result.how == run.PASSED, result.why


def test_no_state_event_or_pair_is_without_a_row():
    assert TABLE.missing(EVENTS) == []


def test_a_new_state_event_or_situation_is_missed():
    """That the test before this one can fail."""
    without = PairTable(TEXT[:TEXT.index("[DELIVERING")])
    assert without.missing(EVENTS) == ["no situation of the state DELIVERING"]
    grids = sum(len(TABLE.matrix.transports(situation)) for situation in TABLE.situations)
    assert len(TABLE.missing([*EVENTS, "upstream explodes"])) == grids * len(PAIRS)
    refused = [line for line in TEXT.splitlines() if not line.startswith("upstream refuses the stream  | * > h2 | completed")]
    assert [line for line in PairTable("\n".join(refused)).missing(EVENTS) if "WAITING/whole" in line] == [
        f"no row for WAITING/whole / upstream refuses the stream / {transport} / {caller} > h2"
        for transport in ("plain", "tls") for caller in ("grpc", "h1", "h2")]
    assert PairTable(TEXT + "\n[WAITING/nowhere]\n").missing(EVENTS)[0] == "WAITING/nowhere is no situation of matrix.txt"
    assert PairTable(TEXT + "\nupstream explodes | * > h1 | no call | - | - | none\n").missing(EVENTS)[0].startswith("an exception for")
