"""Detect and localise: when an outage is one, who is hurt by it, what to do first."""

from __future__ import annotations

from fractions import Fraction

from archlab.spec.drill_kinds import Replication
from archlab.spec.grading import Evidence, Truth
from archlab.spec.region_facts import RegionProbe
from archlab.spec.scenario import Variant
from archlab_scenarios.disaster_recovery import books

COUNTS = ("two", "three", "four", "five", "six", "seven")
"""Failures in a row that may be chosen, from 2 on."""

FIRST_MOVES = {
    "East has no power": ("failover", "failover-accepting"),
    "West has no power": ("isolate", "nothing"),
    "The line between": ("isolate", "nothing"),
    "A script": ("restore", "restore"),
    "The newest release": ("roll-back", "roll-back"),
}
"""What happened, and what to do first with synchronous and with asynchronous replication."""


def apart_days(evidence: Evidence, failures: int) -> Fraction:
    """Mean days between two runs of so many checks that fail by chance."""
    blip = Fraction(books.knob(evidence, "blip-percent")) / 100
    checks = (1 - blip**failures) / ((1 - blip) * blip**failures)
    return checks * books.registry(evidence).check_every_ms / 86_400_000


def how_many_failures(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: the fewest failures in a row that are calm enough."""
    wanted = Fraction(books.knob(evidence, "calm-days"))
    apart = {key: apart_days(evidence, n) for n, key in enumerate(COUNTS, 2)}
    answer = next(key for key in COUNTS if apart[key] >= wanted)
    needed = COUNTS.index(answer) + 2
    check = books.registry(evidence).check_every_ms / 1000
    table = "\n".join(f"| {key} | {n * check:g} s | {float(apart[key]):,.3g} |" for n, key in enumerate(COUNTS, 2))
    return Truth(answer=answer, facts={"table": table, "detection": needed * check})


def who_still_answers(evidence: Evidence, _variant: Variant) -> Truth:
    """Forecast: what worked every time while the first region was dead and nobody had failed over."""
    found = probed_without_first(evidence)
    if found is None:
        return Truth(
            answer=None,
            blocked="Commit your forecast; then, with postures as declared: archlab dr kill east, archlab dr probe",
        )
    worked = [p.key for p in found.probes if p.succeeded == p.tried]
    lines = [f"| {p.key} | {p.succeeded} of {p.tried} | {_cell(p.detail)} |" for p in found.probes]
    return Truth(answer=worked or ["none"], facts={"table": "\n".join(lines)})


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def probed_without_first(evidence: Evidence) -> RegionProbe | None:
    """The newest probe with the first region dead, the second not in charge, and postures as they are now."""
    held = books.pair(evidence)
    for probe in reversed(books.seen(evidence).probes):
        first = probe.posture.names[0]
        same = (probe.posture.tiers, probe.posture.models, probe.posture.parts) == (held.tiers, held.models, held.parts)
        if same and probe.down == (first,) and probe.state.primary == first:
            return probe
    return None


def first_move(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: what to do first about what happened."""
    event, replication = books.knob(evidence, "event"), books.registry(evidence).replication
    moves = next(moves for start, moves in FIRST_MOVES.items() if start in event)
    answer = moves[0] if replication is Replication.SYNCHRONOUS else moves[1]
    return Truth(answer=answer, facts={"replication": replication.value, "why": _WHY[answer]})


_WHY = {
    "failover": "no write counted before west had it, so a promotion loses none",
    "failover-accepting": "west may lack what east acknowledged last, and somebody has to say that this is accepted",
    "isolate": "east's writes wait for a region that does not answer; leaving it out sets them free",
    "nothing": "east waits for nobody, so nobody is hurt; west catches up later",
    "restore": "the mistake was replicated at once: west has it too, and only a copy from before it has not",
    "roll-back": "both regions serve the same release; the one before it is what helps",
}
