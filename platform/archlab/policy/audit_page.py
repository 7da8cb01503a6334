"""An evidence pack as one HTML page that needs nothing else. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from archlab.spec.audit import EvidencePack, Finding

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "h1{font-size:1.4rem}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d5d9de;vertical-align:top}"
    "code{font-size:.85em;overflow-wrap:anywhere}.operated{color:#1a7f37}.exceptions,.not{color:#b42318}"
)
COLUMNS = (
    *("#", "business time", "model", "version", "author", "approved by", "by", "file"),
    *("as it should be", "waived"),
)

CASES = {"four-eyes": "Promotions", "deletion": "Deletions"}


def render(pack: EvidencePack) -> str:
    """The page."""
    kind = pack.verdict.split()[0]
    period = f"{pack.since:%Y-%m-%d %H:%M}Z to {pack.until:%Y-%m-%d %H:%M}Z on the business clock"
    parts = [
        f"<h1>Control {escape(pack.control)}: {escape(pack.statement)}</h1>",
        f"<p>Lab {escape(pack.lab)}, {period}. Taken {pack.taken:%Y-%m-%d %H:%M}Z.</p>",
        f'<p>Verdict: <strong class="{kind}">{escape(pack.verdict)}</strong></p>',
        "<h2>The log</h2>",
        f"<p>{pack.log.records} records, {pack.log.anchors} anchors. Head: <code>{pack.log.head}</code></p>",
        _list(pack.log.faults, "No record was changed, removed, added or moved."),
        f"<h2>{CASES.get(pack.control, 'Cases')} in the period: {len(pack.findings)}</h2>",
        _table(pack.findings),
    ]
    if pack.control == "four-eyes":
        sound = "Everything that is served was let through by a decision of this log."
        parts += ["<h2>What is served now</h2>", _list(pack.unexplained, sound)]
    head = f'<meta charset="utf-8"><title>Control {escape(pack.control)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _list(found: Iterable[str], otherwise: str) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in found)
    return f"<ul>{items}</ul>" if items else f"<p>{escape(otherwise)}</p>"


def _table(findings: Iterable[Finding]) -> str:
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    return f"<table><tr>{head}</tr>{''.join(_row(finding) for finding in findings)}</table>"


def _row(finding: Finding) -> str:
    cells = (
        *(str(finding.sequence), f"{finding.business_time:%Y-%m-%d %H:%M}Z", finding.model, finding.version),
        *(finding.author, finding.approved_by, finding.promoted_by, finding.digest[:12]),
        "; ".join(finding.exceptions) or "yes",
        "; ".join(finding.waived) or "nothing",
    )
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
