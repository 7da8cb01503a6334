"""The trade-off between money spent and value earned: as text of 72 columns, and as a page of its own. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 56, 12


@dataclass(frozen=True, slots=True)
class Mark:
    """One design."""

    name: str
    cost: float
    """USD a day."""
    value: float
    sign: str
    """One character that stands for it."""

    @property
    def net(self) -> float:
        """Value less cost."""
        return self.value - self.cost


def scatter(marks: Sequence[Mark]) -> str:
    """Value over cost, both in USD a day; a legend tells which sign is which. Designs that meet share a place."""
    left, right = _range([m.cost for m in marks])
    low, high = _range([m.value for m in marks])
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    # the first mark is the learner's and is drawn last, on top
    for mark in reversed(marks):
        column = round((mark.cost - left) / (right - left) * (WIDTH - 1))
        line = HEIGHT - 1 - round((mark.value - low) / (high - low) * (HEIGHT - 1))
        grid[line][column] = mark.sign
    lines = ["value, USD a day"]
    for number, row in enumerate(grid):
        at = high - (high - low) * number / (HEIGHT - 1)
        label = f"{at:>9.2f} " if number in (0, HEIGHT // 2, HEIGHT - 1) else " " * 10
        lines.append(f"{label}┤{''.join(row).rstrip()}")
    lines.append(f"{' ' * 10}└{'─' * WIDTH}")
    edge = f"{left:.2f}"
    lines.append(f"{' ' * 11}{edge}{f'{right:.2f}'.rjust(WIDTH - len(edge))}")
    lines.append(f"{' ' * 11}cost, USD a day: up and to the left is better")
    lines += [f"  {m.sign}  {m.name:<22} net {m.net:>8.2f}" for m in marks]
    return "\n".join(lines)


def page(title: str, marks: Sequence[Mark], notes: Sequence[str]) -> str:
    """A self-contained HTML page with an SVG chart; nothing is loaded from elsewhere."""
    rows = "".join(
        f"<tr><td>{escape(m.sign)}</td><td>{escape(m.name)}</td><td>{m.value:.2f}</td><td>{m.cost:.2f}</td>"
        f"<td>{m.net:.2f}</td></tr>"
        for m in marks
    )
    said = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>'
        "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}"
        "table{border-collapse:collapse}td,th{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #ddd}"
        "td:nth-child(2),th:nth-child(2){text-align:left}svg{width:100%;height:auto}"
        "@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}text{fill:#eee}td,th{border-color:#444}}"
        f"</style></head><body><h1>{escape(title)}</h1>{svg(marks)}{said}<table><tr><th></th><th>design</th>"
        f"<th>value</th><th>cost</th><th>net, USD a day</th></tr>{rows}</table></body></html>\n"
    )


def svg(marks: Sequence[Mark]) -> str:
    """Value over cost as SVG, 720 by 430."""
    left, right = _range([m.cost for m in marks])
    low, high = _range([m.value for m in marks])

    def x(cost: float) -> float:
        return 110 + (cost - left) / (right - left) * 500

    def y(value: float) -> float:
        return 340 - (value - low) / (high - low) * 280

    colours = {"Y": "#c2410c", "R": "#15803d"}
    dots = "".join(
        f'<circle cx="{x(m.cost):.1f}" cy="{y(m.value):.1f}" r="7" fill="{colours.get(m.sign, "#6b7280")}">'
        f"<title>{escape(m.name)}: net {m.net:.2f} USD a day</title></circle>"
        # names of neighbours stand above and below in turn, so that they don't cover each other
        f'<text x="{x(m.cost):.1f}" y="{y(m.value) + (-14 if n % 2 else 24):.1f}" text-anchor="middle">'
        f"{escape(m.name)}</text>"
        for n, m in reversed(list(enumerate(marks)))
    )
    axes = '<path d="M80 40V370H650" fill="none" stroke="#888"/>'
    labels = (
        f'<text x="72" y="345" text-anchor="end">{low:.2f}</text>'
        f'<text x="72" y="65" text-anchor="end">{high:.2f}</text>'
        f'<text x="110" y="390" text-anchor="middle">{left:.2f}</text>'
        f'<text x="610" y="390" text-anchor="middle">{right:.2f}</text>'
        '<text x="360" y="418" text-anchor="middle">cost, USD a day</text>'
        '<text x="20" y="24">value, USD a day</text>'
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 430" role="img" font-size="14" '
        f'font-family="system-ui,sans-serif"><title>Value over cost of each design</title>{axes}{labels}{dots}</svg>'
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    """From the smallest to the largest, never empty."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
