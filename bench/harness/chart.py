"""SVG charts, written by hand: bars of ratios, and lines over a logarithmic axis."""

from html import escape
from math import log10

FONT = 'font-family="Helvetica, Arial, sans-serif"'
COLOURS = {"curfew": "#1b6ca8", "haproxy": "#8a9ba8", "nginx": "#b7c3cb", "nghttpx": "#7d9d7a", "squid": "#a58aa8",
           "tinyproxy": "#cdb8cf", "go": "#d8a657", "alone": "#9fc5e0", "relay": "#e3e7ea"}
INK, GRID = "#22303a", "#d9dfe3"


class Drawing:
    def __init__(self, width, height, title):
        self.width, self.height = width, height
        self.parts = [f'<rect width="{width}" height="{height}" fill="#ffffff"/>']
        self.text(16, 26, title, size=16, bold=True)

    def add(self, part):
        self.parts.append(part)

    def text(self, x, y, words, *, size=12, anchor="start", bold=False, colour=INK):
        weight = ' font-weight="bold"' if bold else ""
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" {FONT} font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
                 f'{weight}>{escape(words)}</text>')

    def line(self, x1, y1, x2, y2, colour=GRID, width=1.0, dash=""):
        more = f' stroke-dasharray="{dash}"' if dash else ""
        self.add(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
                 f'stroke-width="{width}"{more}/>')

    def rect(self, x, y, width, height, colour):
        self.add(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" fill="{colour}"/>')

    def svg(self):
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" ' \
               f'viewBox="0 0 {self.width} {self.height}">'
        return "\n".join([head, *self.parts, "</svg>", ""])


def bars(title, groups, names, most=3.0):
    """`groups`: (title, {name: ratio}). A line stands at 1; what is longer than `most` is cut there and says so."""
    left, right, bar, gap = 290, 60, 13, 14
    height = 60 + sum(len(group) * bar + gap for _, group in groups) + 40
    drawing = Drawing(900, height, title)
    scale = (900 - left - right) / most
    for tick in range(int(most * 2) + 1):
        x = left + tick / 2 * scale
        drawing.line(x, 46, x, height - 40, INK if tick == 2 else GRID, 1.2 if tick == 2 else 1)
        drawing.text(x, height - 24, f"{tick / 2:g}", anchor="middle", size=11)
    y = 54
    for label, group in groups:
        drawing.text(left - 10, y + len(group) * bar / 2 + 4, label, anchor="end")
        for name in (name for name in names if name in group):
            ratio = group[name]
            drawing.rect(left, y, min(ratio, most) * scale, bar - 2, COLOURS[name])
            drawing.text(left + min(ratio, most) * scale + 4, y + bar - 4, f"{ratio:.2f}", size=10)
            y += bar
        y += gap
    x = left
    for name in names:
        drawing.rect(x, height - 14, 10, 10, COLOURS[name])
        drawing.text(x + 14, height - 5, name, size=11)
        x += 75
    return drawing.svg()


def _nice(value):
    """A round number that is not below."""
    power = 10 ** int(log10(value) - (value < 1))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 8, 10, 20) if step * power >= value)


def panels(title, charts):
    """`charts`: (title, unit, name of the x axis, {line: [(x, y)]}) side by side, from 0, x logarithmic."""
    width, height, left, top = 330, 250, 50, 60
    drawing = Drawing(len(charts) * width + 20, height + 90, title)
    colours = list(COLOURS.values())
    for n, (heading, unit, axis, lines) in enumerate(charts):
        x0, x1, y0, y1 = n * width + left, (n + 1) * width - 20, top + height - 40, top + 20
        xs = sorted({x for points in lines.values() for x, _ in points})
        low, high = log10(xs[0]), max(log10(xs[-1]), log10(xs[0]) + 0.1)
        most = _nice(max(max(y for points in lines.values() for _, y in points), 1e-3) * 1.1)

        def at(x, y, x0=x0, x1=x1, y0=y0, y1=y1, low=low, high=high, most=most):
            return x0 + (log10(x) - low) / (high - low) * (x1 - x0), y0 - y / most * (y0 - y1)

        drawing.text(x0 - 30, top + 4, f"{heading}, {unit}", bold=True)
        for tick in range(5):
            _, y = at(xs[0], most * tick / 4)
            drawing.line(x0, y, x1, y)
            drawing.text(x0 - 6, y + 4, f"{most * tick / 4:g}", anchor="end", size=10)
        for x in xs:
            drawing.text(at(x, 0)[0], y0 + 16, f"{x:,}", anchor="middle", size=10)
        drawing.text((x0 + x1) / 2, y0 + 34, axis, anchor="middle", size=11)
        for i, (name, points) in enumerate(lines.items()):
            colour = colours[i * 3 % len(colours)]
            path = " ".join("%.1f,%.1f" % at(x, y) for x, y in points)
            drawing.add(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            for x, y in points:
                drawing.add('<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>' % (*at(x, y), colour))
            if len(lines) > 1:
                drawing.rect(x0 + i * 90, y0 + 46, 10, 10, colour)
                drawing.text(x0 + i * 90 + 14, y0 + 55, name, size=11)
    return drawing.svg()
