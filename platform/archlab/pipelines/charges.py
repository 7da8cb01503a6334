"""What training and registering a model took, as usage records. Pure."""

from __future__ import annotations

from datetime import datetime

from archlab.pipelines.train import TrainedCard
from archlab.spec.money import Basis, Resource, Usage, UsageKind

MODE = "training"


def charges(card: TrainedCard, team: str, version: str, registration_cpu_s: float, now: datetime) -> list[Usage]:
    """Measured processor time of one version: fitting, evaluating and exporting it, and registering it.

    A file that was taken from the cache is charged as it was measured when it was trained; recording it again changes
    nothing, since the ids follow from the file and the version.

    Args:
        card: of the trained file.
        team: that owns the model.
        version: as registered.
        registration_cpu_s: processor time of the registration.
        now: on the business clock.
    """
    taken = {
        f"training/{card.model}/{card.variant}/{card.sha256[:12]}": card.train_cpu_seconds,
        f"registration/{card.model}/{version}": registration_cpu_s,
    }
    return [
        Usage(
            id=name,
            start=now,
            end=now,
            team=team,
            model=card.model,
            mode=MODE,
            unit=name.partition("/")[0],
            resource=Resource.TRAINING_CPU,
            kind=UsageKind.CONSUMED,
            quantity=round(seconds * 1000 * 1000),
            basis=Basis.METERED,
        )
        for name, seconds in taken.items()
        if seconds > 0
    ]
