"""A lab's picture for grading, or a plain word about why there is none."""

from __future__ import annotations

from archlab.errors import ArchlabError, LabStateError
from archlab.lab.evidence import collect
from archlab.lab.lab import Lab
from archlab.spec.grading import Evidence
from archlab.spec.lab import LabState
from archlab.spec.plan import ReplicaState


def picture(lab: Lab) -> Evidence:
    """Everything that questions are judged by, as it is now.

    Raises:
        LabStateError: the lab is down, half up, never finished, or runs a plan of another seed; says which.
    """
    _refuse_unfit(lab)
    try:
        return collect(lab)
    except ArchlabError as error:
        raise _plainly(lab, error) from error


def _refuse_unfit(lab: Lab) -> None:
    known = lab.identity
    if known.state is not LabState.READY:
        raise LabStateError(
            f"Lab {lab.name} was never finished: its start is half made.", f"Finish it: archlab up --lab {lab.name}"
        )
    if lab.folder.plan.exists() and (seed := lab.plan.seed) != known.seed:
        raise LabStateError(
            f"Lab {lab.name} runs the variant of seed {seed}, but {lab.folder.identity} says seed {known.seed}.",
            f"Put seed {seed} back there, or make the lab anew: archlab down --lab {lab.name} --purge",
        )


def _plainly(lab: Lab, error: ArchlabError) -> ArchlabError:
    """What is not running, when that is the reason."""
    remedy = f"Start it: archlab up --lab {lab.name}"
    try:
        replicas = lab.target.observe().replicas
    except ArchlabError:
        return error
    away = [f"{r.unit}-{r.index} is {r.state.value}" for r in replicas if r.state is not ReplicaState.READY]
    if len(away) == len(replicas):
        return LabStateError(f"Lab {lab.name} is down: it does not answer, and nothing of it runs.", remedy)
    if away:
        return LabStateError(f"Lab {lab.name} is half up: {', '.join(away)}.", remedy)
    return error
