"""`archlab plan`: what would happen, before anything is deployed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table

if TYPE_CHECKING:
    from archlab.policy.admission import Finding, Workload


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="What would happen, before anything is deployed.", no_args_is_help=True)
    group.callback()(_group)
    group.command("check")(check)
    app.add_typer(group, name="plan")


def _group() -> None:
    """A group stays one with a single command in it."""


def check(
    manifests: Annotated[
        list[str] | None, typer.Argument(help="Files of rendered manifests; - reads what `helm template` prints.")
    ] = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="What `archlab up SCENARIO --target kube` would deploy.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which variant of the scenario.")] = 1,
    values: Annotated[
        Path | None, typer.Option("--values", "-f", help="The cluster chart's values, where they were changed.")
    ] = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Would the cluster admit these workloads? The admission rules decide, with a sentence for each objection.

    With --lab the lab's own rules in policies/admission/ decide too.
    """
    from archlab.errors import NotFoundError, UsageError
    from archlab.policy.admission import Admission, read_manifests, settings_from
    from archlab.policy.bundle import built_in, collect
    from archlab.settings import LabFolder

    settings = settings_from(values)
    if lab is not None and not LabFolder.of(lab).identity.exists():
        raise NotFoundError(f"There is no lab {lab!r}.", "See which there are: archlab status")
    if not manifests and scenario is None:
        raise UsageError("There is nothing to check.", "Name files, - for what is piped in, or --scenario.")
    texts = {name: _read(name) for name in manifests or ()}
    texts |= {scenario: _rendered(scenario, seed)} if scenario is not None else {}
    found = [workload for name, text in texts.items() for workload in read_manifests(text, name)]
    bundle = collect(LabFolder.of(lab)) if lab is not None else built_in()
    findings = Admission(bundle, settings).check(found)
    if as_json:
        emit_json([_json(finding) for finding in findings])
    else:
        _show(findings)
    if any(not finding.decision.allow for finding in findings):
        raise typer.Exit(1)


def _read(name: str) -> str:
    from archlab.errors import NotFoundError, SpecError

    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text()
    except UnicodeDecodeError:
        raise SpecError(f"{name} is not text.", "Is it a rendered manifest?") from None
    except OSError as error:
        raise NotFoundError(f"{name} can't be read: {error.strerror}.") from None


def _rendered(name: str, seed: int) -> str:
    """The manifests of a lab that was never made, by the way that `up` takes: resolve, layout, values, chart."""
    from archlab.plan.layout import layout
    from archlab.plan.loading import load_scenario, scenario_folder
    from archlab.plan.resolve import resolve
    from archlab.settings import data_root
    from archlab.spec.lab import KubePlace
    from archlab.spec.scenario import Overrides
    from archlab.targets.kube.helm import template
    from archlab.targets.kube.images import images
    from archlab.targets.kube.values import values

    resolved, _ = resolve(load_scenario(scenario_folder(name) / "scenario.yaml"), seed)
    image, serving = images()
    place = KubePlace(kubeconfig="", namespace=resolved.name, image=image, serving_image=serving)
    plan = layout(resolved.name, resolved, seed, Overrides())
    return template(data_root("helm") / "archlab", resolved.name, resolved.name, values(plan, place, {}))


def _json(finding: Finding) -> dict[str, object]:
    workload = finding.workload
    return {
        "kind": workload.kind,
        "name": workload.name,
        "namespace": workload.namespace,
        **finding.decision.model_dump(mode="json", include={"allow", "reasons", "engine"}),
    }


def _show(findings: list[Finding]) -> None:
    rows = [
        (_name(workload := finding.workload), reason.rule.partition("/")[2], _why(workload, reason.message))
        for finding in findings
        for reason in finding.decision.reasons
    ]
    if rows:
        console.print(table("Refused", ("workload", "rule", "why"), rows, wrap=("why",)))
    refused = sum(not finding.decision.allow for finding in findings)
    console.print(f"{len(findings)} workloads looked at; {refused or 'none'} would be refused.")


def _name(workload: Workload) -> str:
    return escape(f"{workload.namespace}/{workload.kind} {workload.name}".lstrip("/"))


def _why(workload: Workload, message: str) -> str:
    return escape(message.removeprefix(f"{workload.kind} {workload.name}: "))
