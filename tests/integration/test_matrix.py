"""The fault matrix (matrix/matrix.txt), row by row; `make matrix` prints it as a grid."""

import pytest

from matrix import run
from matrix.events import EVENTS
from matrix.policies import SITUATIONS
from matrix.table import TABLE as TABLE_PATH, Table, live_states

# It measures what the kernel takes for a caller who does not read.
pytestmark = pytest.mark.alone

TEXT = TABLE_PATH.read_text("utf-8")
TABLE = Table(TEXT)
POSSIBLE = [row.id for row in TABLE.rows if not row.why_not]


@pytest.fixture(scope="module")
def results(request, certificates, tmp_path_factory):
    """All rows that were selected, run together: they spend their time waiting."""
    chosen = {item.callspec.params["row"] for item in request.session.items if "row" in getattr(item, "fixturenames", ())}
    rows = [row for row in TABLE.rows if row.id in chosen]
    return run.run(rows, tmp_path_factory.mktemp("matrix"), certificates)


@pytest.mark.parametrize("row", POSSIBLE)
def test_row(results, row):
    result = results[row]
    if result.how == run.NOT_RUN:
        pytest.skip(result.why)
    assert result.how == run.PASSED, result.why


def test_no_state_and_no_event_is_without_a_row():
    assert TABLE.missing(EVENTS) == []
    assert set(SITUATIONS) == set(TABLE.situations)


def test_a_new_state_event_or_cause_is_missed():
    """That the test before this one can fail."""
    without = TEXT[:TEXT.index("[DELIVERING")] + TEXT[TEXT.index("[causes"):]
    assert Table(without).missing(EVENTS) == ["no section for the state DELIVERING"]
    assert any("no row for" in complaint for complaint in TABLE.missing([*EVENTS, "upstream explodes"]))
    assert live_states("CALL_STATE(NEW, PHASE_COUNT, T, N(DONE))\nCALL_STATE(DONE, PHASE_COUNT, 0, 0)\n",
                       "TRY_STATE(OLD, PHASE_COUNT, P | X, N(OVER))\nTRY_STATE(OVER, PHASE_COUNT, 0, 0)\n") == ["NEW", "OLD"]
    without = Table(TEXT.replace("\nqueue_full ", "\nqueue_empty "))
    assert without.missing(EVENTS) == ["nothing provokes the cause queue_full",
                                       "queue_empty is no cause of include/core/causes.def"]
