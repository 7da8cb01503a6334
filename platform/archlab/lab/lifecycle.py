"""Making, starting, stopping, resetting and deleting a lab. Every step can be killed and run again."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime

from archlab import __version__, identity
from archlab.errors import ArchlabError, ConflictError, LabStateError
from archlab.files import write_atomic, write_model
from archlab.lab import anchors, devices, scratch, seed, tampering
from archlab.lab.changes import publish
from archlab.lab.lab import Lab, lab_names, open_lab, read, remember
from archlab.lab.lock import exclusive
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.settings import LabFolder
from archlab.spec.lab import KubePlace, LabIdentity, LabState
from archlab.spec.plan import Plan, Progress, Route
from archlab.spec.scenario import Scenario
from archlab.targets import places

DEFAULT_PORT = 8080
FIRST_SCENARIO = "ten-models"


def up(
    scenario: str | None,
    progress: Progress,
    *,
    lab: str | None = None,
    seed_number: int | None = None,
    port: int | None = None,
    kube: KubePlace | None = None,
) -> Lab:
    """Bring a lab up: make it when it is new, finish it when half made, start it when stopped.

    Raises:
        ConflictError: the lab exists with another scenario or seed.
        TargetError: a unit would not start; carries its log's end.
    """
    name = usual_name(scenario, lab)
    folder = LabFolder.of(name)
    with exclusive(folder, "up"):
        made = _identity(folder, scenario, seed_number, port, kube)
        handle = Lab(folder)
        remember(name)
        prepare(handle, progress)
        if made.state is LabState.READY:
            start(handle, progress)
        else:
            seed.seed(handle, progress)
            devices.remeasure(handle)
            handle.target.share()
            handle.target.keep_start()
            write_model(folder.identity, made.model_copy(update={"state": LabState.READY}))
    return handle


def down(lab: Lab, *, purge: bool) -> None:
    """Stop everything that runs; with `purge` all that is stored goes too. Twice is harmless."""
    with exclusive(lab.folder, "down"):
        lab.target.destroy()
        scratch.clear(lab)
        if purge:
            lab.target.purge()
    if purge:
        shutil.rmtree(lab.folder.root, ignore_errors=True)


def reset(lab: Lab, progress: Progress) -> None:
    """Back to the scenario's start: registry, clock, ledger, features, overrides.

    Raises:
        LabStateError: the lab was never finished.
    """
    with exclusive(lab.folder, "reset"):
        if lab.identity.state is not LabState.READY:
            raise LabStateError(f"Lab {lab.name} has no start to go back to: it was never finished.", "Run: archlab up")
        lab.target.check_return()
        progress("stop", "all units")
        lab.target.destroy()
        progress("restore", "the state of the start")
        lab.target.return_to_start()
        anchors.set_aside(lab)
        lab.folder.overrides.unlink(missing_ok=True)
        prepare(lab, progress)
        start(lab, progress)
        if lab.declared.regions:
            # as after `up`: the second region has its files from the start on
            held = lab.target.regions(lab.plan)
            held.copy_now(held.pair.other, [copying.part for copying in held.pair.copies if not copying.archived])


def usual_name(scenario: str | None, lab: str | None = None) -> str:
    """The lab that is meant; when none is named the scenario's own, or the one used last."""
    if lab:
        return lab
    if named := os.environ.get("ARCHLAB_LAB_NAME"):
        return named
    if scenario is None and lab_names():
        return open_lab().name
    return scenario or FIRST_SCENARIO


def _identity(
    folder: LabFolder, scenario: str | None, seed_number: int | None, port: int | None, kube: KubePlace | None
) -> LabIdentity:
    if folder.identity.exists():
        known = Lab(folder).identity
        if scenario is not None and known.scenario != scenario:
            raise ConflictError(
                f"Lab {folder.name} runs scenario {known.scenario}, not {scenario}.", "Choose another name with --lab."
            )
        if seed_number is not None and known.seed != seed_number:
            raise ConflictError(
                f"Lab {folder.name} was made with seed {known.seed}, not {seed_number}.",
                f"Delete it first: archlab down --lab {folder.name} --purge",
            )
        if kube is not None:
            _check(Lab(folder).declared, on_cluster=True)
            known = _placed(known, kube)
            write_model(folder.identity, known)
        if port is not None and known.kube is None and port != known.gateway_port:
            known = known.model_copy(update={"gateway_port": port})
            write_model(folder.identity, known)
        return known
    from archlab.targets.ports import free_port

    name = scenario or FIRST_SCENARIO
    _check(load_scenario(scenario_folder(name) / "scenario.yaml"), on_cluster=kube is not None)
    made = LabIdentity(
        lab=folder.name,
        scenario=name,
        seed=1 if seed_number is None else seed_number,
        code_version=__version__,
        gateway_port=0 if kube else port or free_port(DEFAULT_PORT, _promised_ports()),
        kube=kube,
        state=LabState.SEEDING,
        created=datetime.now(UTC),
    )
    write_model(folder.identity, made)
    return made


def _promised_ports() -> set[int]:
    """Ports of labs that are being made right now: they do not listen yet."""
    found = (Lab(LabFolder.of(name)).identity for name in lab_names())
    return {identity.gateway_port for identity in found if identity.state is LabState.SEEDING}


def _check(scenario: Scenario, *, on_cluster: bool) -> None:
    """Whether a lab can be what its scenario declares, there.

    Raises:
        UserError: it can't; says why.
    """
    tampering.check(scenario, on_cluster=on_cluster)
    if on_cluster:
        from archlab.targets.kube.values import refuse_regions

        refuse_regions(scenario.name, there=scenario.regions is not None)
    if scenario.regions:
        from archlab.recovery.programs import postgres_programs

        postgres_programs()


def _placed(known: LabIdentity, kube: KubePlace) -> LabIdentity:
    """A lab stays where it was made; its images and its gateway's address may change.

    Raises:
        ConflictError: it is elsewhere.
    """
    if known.kube is None or (known.kube.namespace, known.kube.context) != (kube.namespace, kube.context):
        where = f"in namespace {known.kube.namespace}" if known.kube else "on this machine"
        raise ConflictError(f"Lab {known.lab} is {where}.", "Choose another name with --lab.")
    return known.model_copy(update={"kube": kube})


def prepare(lab: Lab, progress: Progress) -> None:
    """Everything that units read at their start: keys, scenario, plan, policy, tokens."""
    from archlab.policy.bundle import publish as publish_bundle

    folder = lab.folder
    identity.create_keys(folder)
    for part in (folder.log, folder.conf, folder.policies, folder.releases, folder.snapshots, folder.predictions):
        part.mkdir(parents=True, exist_ok=True, mode=0o700)
    load_scenario(lab.content / "scenario.yaml")
    publish(lab, lab.scenario)
    replan(lab)
    write_atomic(folder.root / "known_columns.json", seed.known_columns(lab))
    publish_bundle(folder)
    for user in lab.declared.users:
        identity.write_header_file(folder, user)


def replan(lab: Lab) -> None:
    """Lay the lab out anew; what challengers get stays as it was, whether the registry answers or not."""
    folder = lab.folder
    last, held = _routes(folder), devices.remembered(lab)
    known = {route.model: version for route in last for version in route.versions}
    shares = {route.model: sum(b.weight for b in route.backends if b.version) for route in last}
    made = layout(
        lab.name, lab.resolved, lab.identity.seed, lab.overrides, known, held, shares, places.state(lab.folder)
    )
    write_model(folder.plan, made)


def start(lab: Lab, progress: Progress) -> None:
    """Every unit up, releases as registry and decisions say."""
    lab.target.apply(lab.plan, progress)
    lab.control.post("/releases/reconcile", {})


def _routes(folder: LabFolder) -> tuple[Route, ...]:
    """Of the last plan: a second `up` keeps what challengers get, and gives them no more."""
    try:
        return read(Plan, folder.plan).routes
    except ArchlabError:
        return ()
