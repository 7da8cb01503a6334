"""Prometheus text of every replica in one exposition: each family once, with `unit` and `replica` on every sample."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from archlab.addresses import Replica, replicas
from archlab.control import clock, corrections
from archlab.control.store import Store
from archlab.errors import ArchlabError
from archlab.settings import LabFolder
from archlab.spec.plan import Plan
from archlab.spec.release import ReleaseFeed
from archlab.unixhttp import get

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?\s+(?P<rest>\S+(?:\s+-?\d+)?)\s*$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
COST_LABELS = ("team", "model", "mode", "kind", "resource", "basis", "purchase")
_COSTS = "SELECT {0}, SUM(cost_nanousd) FROM lines GROUP BY {0} ORDER BY {0}"
_COUNTED = ("ticks", "answers", "labels", "decisions", "batch_runs")
_SUFFIXES = ("_bucket", "_count", "_sum", "_created", "_total")


@dataclass(slots=True)
class Family:
    """One metric family: its comments and its samples."""

    help: str = ""
    type: str = ""
    samples: list[str] = field(default_factory=list)


def merge(expositions: Iterable[tuple[dict[str, str], str]]) -> str:
    """Several expositions as one; the given labels are added to samples that lack them."""
    families: dict[str, Family] = {}
    for labels, text in expositions:
        _read(text, labels, families)
    return "".join(_written(name, families[name]) for name in sorted(families))


def own(store: Store, feed: ReleaseFeed) -> str:
    """Control's own metrics, the bill among them."""
    with store.read() as db:
        state = clock.read(db) if db.execute("SELECT 1 FROM clock").fetchone() else None
        counts = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in _COUNTED}  # noqa: S608
        costs = db.execute(_COSTS.format(", ".join(COST_LABELS))).fetchall()
        corrected = Counter[tuple[str, str]]()
        for line in (line for made in corrections.read(db) for line in made.lines):
            corrected[line.team, line.model] += line.cost_nanousd
    bill = CounterMetricFamily("archlab_cost_usd", "The bill so far, on the business clock.", labels=COST_LABELS)
    for *labels, nanousd in costs:
        bill.add_metric(labels, nanousd / 1e9)
    booked = GaugeMetricFamily(
        "archlab_cost_corrections_usd",
        "Charges and credits booked against lines of the bill.",
        labels=("team", "model"),
    )
    for of, nanousd in corrected.items():
        booked.add_metric(of, nanousd / 1e9)
    found: list[Metric] = [
        *(GaugeMetricFamily(f"archlab_control_{name}", f"Rows of {name}.", count) for name, count in counts.items()),
        GaugeMetricFamily("archlab_release_feed_sequence", "Of the feed in force.", feed.sequence),
        bill,
        booked,
    ]
    if state:
        found.append(GaugeMetricFamily("archlab_clock_seconds", "The business clock.", int(state.now.timestamp())))
    return generate_latest(_Found(found)).decode()


class _Found(list[Metric]):
    """Families as a registry's collector hands them out."""

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self


def scrape(folder: LabFolder, plan: Plan) -> list[tuple[dict[str, str], str]]:
    """Every replica's exposition, and `archlab_up` for each; a replica that doesn't answer is 0."""
    servers = replicas(folder, plan)
    if not servers:
        return []
    with ThreadPoolExecutor(max_workers=min(8, len(servers))) as pool:
        texts = list(pool.map(_exposition, servers))
    found = []
    for server, text in zip(servers, texts, strict=True):
        labels = {"unit": server.unit, "replica": server.number}
        up = "# HELP archlab_up Whether the replica answered the scrape.\n# TYPE archlab_up gauge\n"
        found.append((labels, f"{up}archlab_up {0 if text is None else 1}\n"))
        found.append((labels, text or ""))
    return found


def _exposition(server: Replica) -> str | None:
    try:
        status, body = get(server.address, "/metrics", {}, timeout_s=2)
    except ArchlabError:
        return None
    return body.decode(errors="replace") if status == 200 else None


def _read(text: str, labels: dict[str, str], families: dict[str, Family]) -> None:
    declared: set[str] = set()
    for line in text.splitlines():
        if line.startswith("#"):
            _, _, rest = line.partition(" ")
            kind, _, rest = rest.partition(" ")
            name, _, value = rest.partition(" ")
            if kind in ("HELP", "TYPE"):
                declared.add(name)
                family = families.setdefault(name, Family())
                setattr(family, kind.lower(), getattr(family, kind.lower()) or value)
        elif match := _SAMPLE.match(line):
            name = _family(match["name"], declared)
            families.setdefault(name, Family()).samples.append(_labelled(match, labels))


def _family(name: str, declared: set[str]) -> str:
    if name in declared:
        return name
    bases = (name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix))
    return next((base for base in bases if base in declared), name)


def _labelled(match: re.Match[str], labels: dict[str, str]) -> str:
    own = dict(_LABEL.findall(match["labels"] or ""))
    everything = {**own, **{k: escaped(v) for k, v in labels.items() if k not in own}}
    inside = ",".join(f'{k}="{v}"' for k, v in everything.items())
    return f"{match['name']}{{{inside}}} {match['rest']}" if inside else f"{match['name']} {match['rest']}"


def escaped(value: str) -> str:
    """A label's value as the text format writes it."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _written(name: str, family: Family) -> str:
    lines = [f"# HELP {name} {family.help}"] if family.help else []
    lines += [f"# TYPE {name} {family.type}"] if family.type else []
    return "\n".join([*lines, *family.samples]) + "\n"
