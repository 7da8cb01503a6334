"""Random histories of a lab's usage, each a day of its own: what happened, and how it reached the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from archlab.spec.money import Basis, Commitment, Price, PriceBook, Purchase, Resource, Usage, UsageKind

DAY = timedelta(days=1)
BUSY = timedelta(hours=1)
"""Of each day: when most of its ticks are."""
START = datetime(2013, 11, 4, tzinfo=UTC)
HELD = (Resource.ONLINE_CPU, Resource.DEVICE, Resource.DEVICE_SLICE)
BOUGHT = (Purchase.ON_DEMAND, Purchase.SPOT, Purchase.RESERVED)
COMMITMENTS = ("big", "small")
TEAMS_AND_MODELS = (
    ("operations", "departure-delay"),
    ("operations", "flight-time"),
    ("revenue", "route-demand"),
    ("maintenance", "airframe-delay"),
    ("platform", ""),
)
NOBODYS = (("", "departure-delay"), ("", ""), ("ghosts", "flight-time"), ("operations", "adhoc"))
Shared = tuple[str, str]


@dataclass(frozen=True, slots=True)
class History:
    """Records in the order in which they were posted; some twice, some when their interval was long billed."""

    posts: tuple[tuple[Usage, ...], ...]
    killed: frozenset[int]
    """Posts during which control died before the commit; they are posted again."""
    corrected: tuple[tuple[float, int | None, str | None], ...]
    """Corrections: which line (a share of all), its amount, its team."""


def book(random: Random, days: int) -> PriceBook:
    """Prices that change several times, at any moment of any day."""
    first = START - DAY
    prices = []
    for resource in Resource:
        for purchase in BOUGHT:
            if resource is Resource.TRAINING_CPU and purchase is Purchase.ON_DEMAND:
                continue  # free
            days_of_change = random.sample(range(days), random.randint(0, days // 10))
            moments = [first, *(START + day * DAY + random.random() * BUSY for day in sorted(days_of_change))]
            prices += [_price(random, resource, purchase, moment) for moment in moments]
    commitments = [
        Commitment(name=name, resource=resource, per_second=1, starts=first, ends=first + (days + 3) * DAY)
        for name, resource in zip(COMMITMENTS, HELD, strict=False)
    ]
    return PriceBook(source="random", prices=tuple(prices), commitments=tuple(commitments))


def _price(random: Random, resource: Resource, purchase: Purchase, effective: datetime) -> Price:
    nanousd, per = random.choice(((random.randint(0, 10**6), random.randint(1, 3_600_000)), (7, 2), (1, 1)))
    return Price(resource=resource, effective=effective, nanousd=nanousd, per=per, purchase=purchase)


def history(random: Random, number: int) -> History:
    """One day: ticks of changing replicas, devices, versions and lengths, jobs, and records that nobody labelled."""
    records: list[list[Usage]] = []
    now = START + number * DAY
    for tick in range(random.randint(1, 3)):
        length = random.choice((1800, 1800, 3600, 1, 1799, 7))
        end = now + timedelta(seconds=length)
        records.append(list(_tick(random, f"h{number}/{tick}", now, end)))
        # a clock that was stepped: the next tick overlaps, repeats a part, or leaves a gap
        now = end + timedelta(seconds=random.choice((0, 0, 0, 60, -1)))
    posts = [tuple(some) for some in records]
    for some in records:
        if len(some) > 2 and random.random() < 0.4:  # control was restarted in the middle of it: the rest comes late
            cut = random.randrange(1, len(some))
            posts[posts.index(tuple(some))] = tuple(some[:cut])
            posts.append((*some[cut:], *some[: random.randint(0, cut)]))
    killed = frozenset(index for index in range(len(posts)) if random.random() < 0.2)
    corrected = tuple(_correction(random) for _ in range(random.choice((0, 0, 1, 2))))
    return History(tuple(posts), killed, corrected)


def _correction(random: Random) -> tuple[float, int | None, str | None]:
    amount = random.choice((None, 0, 1, random.randint(0, 10**12)))
    return random.random(), amount, random.choice(("revenue", "customer-care", None))


def _tick(random: Random, name: str, start: datetime, end: datetime) -> Iterator[Usage]:
    for commitment, resource in zip(COMMITMENTS, HELD, strict=False):
        if random.random() < 0.7:
            team = random.choice(("platform", "revenue"))
            yield _usage(
                f"{name}/committed/{commitment}",
                start,
                end,
                (team, ""),
                "commitment",
                commitment,
                resource,
                UsageKind.COMMITTED,
                random.randint(0, 10**7),
                commitment,
            )
    for team, model in random.sample((*TEAMS_AND_MODELS, random.choice(NOBODYS)), random.randint(1, 4)):
        for replica in range(random.randint(0, 2)):
            yield from _replica(random, f"{name}/{team}/{model}/{replica}", start, end, (team, model), replica)
    for job in range(random.choice((0, 0, 1, 2))):
        owner = random.choice((*TEAMS_AND_MODELS, *NOBODYS))
        mode, resource = random.choice(
            (
                ("batch", Resource.BATCH_CPU),
                ("training", Resource.TRAINING_CPU),
                ("batch", Resource.LOOKUP),
                ("storage", Resource.STORAGE),
                ("storage", Resource.TRANSFER),
                ("features", Resource.MATERIALIZE_CPU),
            )
        )
        moment = random.choice((start, start + random.random() * (end - start)))
        yield _usage(
            f"{name}/job/{job}",
            moment,
            random.choice((moment, end)),
            owner,
            mode,
            f"run-{job}",
            resource,
            UsageKind.CONSUMED,
            random.randint(0, 10**8),
            purchase=random.choice((Purchase.ON_DEMAND, Purchase.SPOT)),
        )


def _replica(random: Random, name: str, start: datetime, end: datetime, owner: Shared, replica: int) -> Iterator[Usage]:
    resource, unit = random.choice(HELD), f"pool-{replica}"
    purchase = random.choice(BOUGHT)
    commitment = random.choice(COMMITMENTS) if purchase is Purchase.RESERVED else ""
    held = random.randint(0, 4_000) * ((end - start) // timedelta(seconds=1))
    yield _usage(
        f"{name}/reserved", start, end, owner, "online", unit, resource, UsageKind.RESERVED, held, commitment, purchase
    )
    for version in range(random.choice((0, 1, 1, 2))):  # two while a canary is on
        spent = random.choice((random.randint(0, held + 1), 2 * held, held, 1))
        yield _usage(f"{name}/used/{version}", start, end, owner, "online", unit, resource, UsageKind.USED, spent)


def _usage(
    name: str,
    start: datetime,
    end: datetime,
    owner: Shared,
    mode: str,
    unit: str,
    resource: Resource,
    kind: UsageKind,
    quantity: int,
    commitment: str = "",
    purchase: Purchase = Purchase.ON_DEMAND,
) -> Usage:
    return Usage(
        id=name,
        start=start,
        end=end,
        team=owner[0],
        model=owner[1],
        mode=mode,
        unit=unit,
        resource=resource,
        kind=kind,
        quantity=quantity,
        basis=Basis.EMULATED if resource is Resource.DEVICE else Basis.MODELLED,
        purchase=Purchase.RESERVED if commitment else purchase,
        commitment=commitment,
    )
