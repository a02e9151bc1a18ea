"""Tables of what was measured."""

import statistics
from dataclasses import dataclass, field

# In the order of the tables' columns; each table has those that its rows have.
COLUMNS = ("curfew", "haproxy", "nginx", "nghttpx", "squid", "tinyproxy", "go", "alone", "relay")
NEVER = "never"


@dataclass
class Row:
    scenario: object
    metric: object
    values: dict = field(default_factory=dict)  # name: one value a round, in the order of the rounds
    failures: dict = field(default_factory=dict)

    def median(self, name):
        """Of a column; None if it has none, NEVER if what was waited for did not happen."""
        values = self.values.get(name)
        if not values:
            return None
        if any(value is None for value in values):
            return NEVER
        return statistics.median(values)

    def best_peer(self):
        medians = {name: self.median(name) for name in self.scenario.peers if name not in self.failures}
        medians = {name: value for name, value in medians.items() if isinstance(value, (int, float))}
        return min(medians, key=medians.get) if medians else None

    def ratio(self, peer=None):
        """To this peer, or the best: the median of the ratios of each round, so that what drifts between rounds cancels."""
        best = peer or self.best_peer()
        if not self.metric.compared or not best or not isinstance(self.median("curfew"), (int, float)):
            return None
        pairs = [(ours, theirs) for ours, theirs in zip(self.values["curfew"], self.values[best]) if theirs > 0]
        return statistics.median(ours / theirs for ours, theirs in pairs) if pairs else None

    def targets(self):
        """(as it is written, whether it is met) of each."""
        metric, ours = self.metric, self.median("curfew")
        ratio = self.ratio(metric.ratio_to)
        known = "curfew" not in self.failures and isinstance(ours, (int, float))
        if metric.ratio_at_most is not None:
            yield f"≤ {metric.ratio_at_most:g} × {metric.ratio_to or 'best'}", known and ratio is not None and ratio <= metric.ratio_at_most
        if metric.value_at_most is not None:
            highest = max(self.values["curfew"]) if known and metric.key == "peak" else ours
            yield f"≤ {metric.value_at_most:g} {metric.unit}", known and highest <= metric.value_at_most
        if metric.value_at_least is not None:
            yield f"≥ {metric.value_at_least:g} {metric.unit}", known and min(self.values["curfew"]) >= metric.value_at_least

    def target(self):
        return ", ".join(text for text, _ in self.targets())

    def meets(self):
        """True, False, or None where nothing is demanded."""
        found = [met for _, met in self.targets()]
        return all(found) if found else None

    def cell(self, name):
        if name in self.failures:
            return "invalid"
        value = self.median(name)
        if value is None or value == NEVER:
            return value or "–"
        return f"{value:.{self.metric.digits}f}"

    def cells(self, columns):
        title = f"{self.metric.title}{f', {self.metric.unit}' if self.metric.unit else ''}"
        ratio, meets = self.ratio(), self.meets()
        best = self.best_peer() if self.metric.compared else None
        return [title, *(self.cell(name) for name in columns), best or "", f"{ratio:.2f}" if ratio is not None else "",
                self.target(), {None: "", True: "met", False: "MISSED"}[meets]]


def groups(rows):
    """(title, columns, rows) of each table."""
    found = {}
    for row in rows:
        found.setdefault(row.scenario.group, []).append(row)
    for title, members in found.items():
        yield title, [name for name in COLUMNS if any(name in row.scenario.who for row in members)], members


def header(columns):
    return ["", *columns, "best peer", "ratio", "target", ""]


def markdown_table(columns, rows):
    lines = ["| " + " | ".join(header(columns)) + " |", "|---|" + "--:|" * len(columns) + "---|--:|---|---|"]
    scenario = None
    for row in rows:
        alone = len(row.scenario.metrics) == 1
        if row.scenario is not scenario and not alone:
            lines.append(f"| **{row.scenario.title}** |" + " |" * (len(header(columns)) - 1))
        scenario = row.scenario
        cells = row.cells(columns)
        if alone:
            cells[0] = f"**{row.scenario.title}**: {cells[0]}"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def markdown(rows):
    return "\n".join(f"## {title}\n\n{markdown_table(columns, members)}" for title, columns, members in groups(rows))


def text_table(columns, rows):
    lines, scenario = [header(columns)], None
    for row in rows:
        cells = row.cells(columns)
        if len(row.scenario.metrics) == 1:
            cells[0] = row.scenario.title
        else:
            if row.scenario is not scenario:
                lines.append([row.scenario.title])
            cells[0] = "  " + cells[0]
        scenario = row.scenario
        lines.append(cells)
    widths = [max(len(line[i]) for line in lines if len(line) > 1) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) if i == 0 or i > len(columns) else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
                     if len(line) > 1 else line[0] for line in lines) + "\n"


def text(rows):
    return "\n".join(f"{title}\n{text_table(columns, members)}" for title, columns, members in groups(rows))


def failures(rows):
    """Each once: (scenario's title, name, why)."""
    seen = []
    for row in rows:
        for name, why in row.failures.items():
            one = (row.scenario.title, name, why)
            if one not in seen:
                seen.append(one)
    return seen


def spread(rows):
    """Of curfew's values over the rounds, at most: how far to trust a median."""
    found = []
    for row in rows:
        values = [value for value in row.values.get("curfew", []) if value is not None]
        if row.metric.key == "cpu" and len(values) > 2 and statistics.median(values):
            found.append((max(values) - min(values)) / statistics.median(values))
    return max(found, default=0.0)
