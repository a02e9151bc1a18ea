"""Situations that a policy brings about: what a pool, a breaker, a fallback or a budget of retries does with a call."""

from harness.bounds import SLOW, poll

from . import situations
from .cell import FAR, LINGER
from .situations import QueuedBehind, WaitingWhole


def _wait_s(cell):
    """
    Until the call begins: longer than the limits of the cells in which it is not to begin. What hits all cells together
    comes when the last one of them is where it has to be.
    """
    return (30 if cell.event.together else 2) * SLOW


class _QueuedForTime(QueuedBehind):
    """
    Nothing holds a permit: the call waits for an instant. `cell.exchange` is idle. Where the deadline, or
    queue_timeout, comes before it, the call is refused on arrival.
    """

    def enter(self, cell):
        cell.fill_pool()
        self.answer_first(cell)
        cell.call()
        if not cell.event.deadline and not cell.event.limit:
            cell.reach("queue")

    def answer_first(self, cell):
        raise NotImplementedError

    def complete(self, cell):
        request = cell.exchange.recv_request()
        assert request.target == "/cell", request
        cell.exchange.send(self.rest_of_response)

    def let_pass(self, cell):
        """The next call waits for its own instant."""

    def can_be_reached(self, cell):
        return not cell.event.limit  # it would be refused as well

    def is_reused(self, cell):
        return cell.row.upstream == "reusable"


class QueuedSlot(_QueuedForTime):
    """Of the pool's rate: the call before this one has had its only slot."""

    def pool_keys(self, cell):
        return {"rate": {"limit": f"{int(3600 / _wait_s(cell))}/h", "burst": 1}}

    def answer_first(self, cell):
        cell.exchange.answer()
        assert cell.holder.recv_response().status == 200


class QueuedPaused(_QueuedForTime):
    """Of a pool that the API has asked to pause."""

    def pool_keys(self, cell):
        del cell
        return {"pause": {"statuses": [429], "max": "1h"}}

    def answer_first(self, cell):
        cell.exchange.answer(429, f"Retry-After: {_wait_s(cell):g}", content=b"later")
        assert cell.holder.recv_response().status == 429


class QueuedLate(QueuedBehind):
    """It has waited for so long that it is too late for it, whenever its turn comes."""

    def pool_keys(self, cell):
        del cell
        return {"least": f"{int(FAR[:-1]) - 1}s"}

    def enter(self, cell):
        cell.fill_pool()
        cell.call()
        if not cell.event.deadline and not cell.event.limit:
            poll(lambda: cell.proxy.calls(upstream=cell.name, phase="queue", older="1100ms")["calls"], "a second in the queue")

    def complete(self, cell):
        cell.exchange.answer()

    def read_on(self, cell):
        """His half-close is no end: he waits for the answer, which his turn brings."""
        cell.watch.barrier()
        self.complete(cell)

    def let_pass(self, cell):
        if cell.event.deadline or cell.row.cause != "too_late":
            super().let_pass(cell)

    def is_reused(self, cell):
        """By the holder's connection, unless the event has hit that."""
        if cell.event.together == "reload":
            return False
        return not cell.row.event.startswith("upstream") or bool(cell.event.deadline)


class QueuedBreaker(QueuedBehind):
    """What becomes of the other call opens the breaker, if it is bad."""

    keys = {"breaker": {"failures": 1, "open": "60s", "open_max": "60s"}}

    def can_be_reached(self, cell):
        return cell.row.cause != "breaker_open"


class WaitingToken(WaitingWhole):
    """The try would be tried again, but for the budget: the call before this one has had its only token."""

    keys = {"retries": {"attempts": 2, "when": ["reset", "junk", 503], "repeat": {"methods": ["GET", "POST"]},
                        "backoff": {"base": "1ms", "max": "1ms"}, "budget": {"share": "0%", "burst": 1}}}

    def enter(self, cell):
        cell.fill_pool()
        cell.exchange.answer(503, "Connection: close")
        cell.take("/aux/holds")
        cell.exchange.answer(200, "Connection: close")
        assert cell.holder.recv_response().status == 200
        super().enter(cell)

    def check_upstream(self, cell):
        if cell.row.cause in ("connection_terminated", "http_protocol_error"):
            assert cell.watch.fresh().sum("retries_stopped_total", upstream=cell.name, reason="budget") == 1


class WaitingFallback(WaitingWhole):
    """Its own upstream refuses; `cell.up` is the fallback."""

    keys = {"retries": {"attempts": 2, "when": ["connect"], "backoff": {"base": "1ms", "max": "1ms"}}}

    def url(self, cell):
        return "http://127.0.0.1:1"

    def others(self, cell, keys):
        """The fallback has what a cell's upstream has otherwise."""
        name = f"{cell.name}b"
        own = {key: keys[key] for key in ("timeouts", "late", "tls") if key in keys}
        keys.pop("tls", None)
        keys["retries"] = {**keys["retries"], "fallback": name}
        return {name: {"url": super().url(cell), "deadline": FAR, "pool": {"size": 1, "queue": 2, "linger": LINGER}, **own}}


SITUATIONS = {
    **situations.SITUATIONS,
    "QUEUED/slot": QueuedSlot(),
    "QUEUED/paused": QueuedPaused(),
    "QUEUED/late": QueuedLate(),
    "QUEUED/breaker": QueuedBreaker(),
    "WAITING/token": WaitingToken(),
    "WAITING/fallback": WaitingFallback(),
}
