"""The status page: clock, scoreboard, links. No script, nothing from elsewhere."""

from __future__ import annotations

from html import escape

from archlab.control.clock import ClockState
from archlab.spec.airline import ModelScore, Scoreboard
from archlab.spec.base import NANO_PER_USD
from archlab.spec.scenario import Scenario

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5d6b7a; --line: #dde3ea; --card: #fff; --back: #f4f6f9;
  --good: #1a7f4b; --bad: #b3261e; --accent: #1f5fbf; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf1; --soft: #98a6b5; --line: #2c3743; --card: #18212b;
  --back: #10171f; --good: #5bc78d; --bad: #ff8a80; --accent: #7db0ff; } }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; }
h1 { font-size: 1.4rem; margin: 0; } .sub { color: var(--soft); margin: .15rem 0 1.5rem; }
.cards { display: grid; gap: .75rem; margin-bottom: 1.5rem; }
.cards { grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; }
.card b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.card span, th { color: var(--soft); font-size: .8rem; font-weight: 500; }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; padding: .8rem 1rem 0; font-weight: 600; }
th, td { padding: .45rem 1rem; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; } tbody tr { border-top: 1px solid var(--line); }
.good { color: var(--good); } .bad { color: var(--bad); } a { color: var(--accent); } nav { margin-top: 1.25rem; }
nav a { margin-right: 1.25rem; }
"""

_HEADS = ("Model", "Mode", "Requests", "In time", "p99 ms", "Quality", "Baseline", "Value", "Used", "Idle", "Net")


def render(lab: str, scenario: Scenario, clock: ClockState, board: Scoreboard) -> str:
    """The page as HTML."""
    rows = "".join(_row(model) for model in board.models)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="15"><title>{escape(lab)} – archlab</title><style>{_STYLE}</style></head>
<body><main>
<h1>{escape(scenario.title)}</h1><p class="sub">Lab {escape(lab)}{_advancing(clock)}</p>
<div class="cards">
{_card("Business time", f"{clock.now:%a %d %b %Y, %H:%M}Z")}
{_card("Value earned", _usd(board.value_nanousd))}
{_card("Money spent", _usd(board.cost_nanousd))}
{_card("of it shared", _usd(board.shared_nanousd))}
{_card("Net", _usd(board.net_nanousd), _tone(board.net_nanousd))}
</div>
<div class="wide"><table><caption>Since {board.since:%d %b %Y, %H:%M}Z</caption>
<thead><tr>{"".join(f'<th scope="col">{head}</th>' for head in _HEADS)}</tr></thead>
<tbody>{rows}</tbody></table></div>
<nav><a href="/mlflow/">MLflow</a><a href="/control/metrics">Metrics</a><a href="/control/releases">Releases</a>
<a href="/control/decisions">Decisions</a><a href="/control/cost">Bill</a></nav>
</main></body></html>
"""


def _row(model: ModelScore) -> str:
    in_time = f"{100 * model.on_time / model.requests:.1f} %" if model.requests else "–"
    cells = (
        *(escape(model.model), model.mode, f"{model.requests:,}", in_time, _number(model.p99_ms, 0)),
        *(f"{_number(model.quality, 3)} {escape(model.metric)}", _number(model.baseline, 3)),
        *(_usd(model.value_nanousd), _usd(model.used_nanousd), _usd(model.idle_nanousd)),
    )
    net = f'<td class="{_tone(model.net_nanousd)}">{_usd(model.net_nanousd)}</td>'
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}{net}</tr>\n"


def _card(title: str, text: str, tone: str = "") -> str:
    return f'<div class="card"><span>{title}</span><b class="{tone}">{text}</b></div>'


def _advancing(clock: ClockState) -> str:
    return f" · advancing to {clock.lease_until:%d %b, %H:%M}Z" if clock.lease_until else ""


def _tone(nanousd: int) -> str:
    return "good" if nanousd >= 0 else "bad"


def _usd(nanousd: int) -> str:
    sign = "−" if nanousd < 0 else ""
    cents = (abs(nanousd) * 100 + NANO_PER_USD // 2) // NANO_PER_USD
    return f"{sign}${cents // 100:,}.{cents % 100:02d}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
