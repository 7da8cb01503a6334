"""The part of a bundle that one action needs: what else there is can't change the decision, and costs time.

rego-cpp looks at every statement of a program for every query, so that a decision's cost grows with the whole library.
A slice holds the decision document, the rules that apply to the action, and what they refer to. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from archlab.policy import index
from archlab.policy.bundle import INDEX_KEY, BundledRule, PolicyBundle
from archlab.policy.index import RuleFacts

_REFERENCE = re.compile(r"\bdata\.archlab\.rules\.(\w+)\.(\w+)")
_COMPUTED = re.compile(r"\bdata(\.archlab(\.rules(\.\w+)?)?)?\s*(\[|$)", re.MULTILINE)


def references(text: str) -> set[str]:
    """The rules that a Rego file refers to, as `AREA/RULE`."""
    return {f"{area}/{name}" for area, name in _REFERENCE.findall(text)}


def applicable(bundle: PolicyBundle, action: str) -> tuple[BundledRule, ...]:
    """The rules whose business an action is: they name it, or name none and are of its area."""
    area = action.split("/")[0]
    return tuple(r for r in bundle.rules if (action in r.actions if r.actions else r.area == area))


def sliced(bundle: PolicyBundle, rules: Sequence[BundledRule]) -> dict[str, str]:
    """Modules that decide as the whole bundle does, for every action to which exactly these rules apply."""
    wanted = {f"{rule.area}/{rule.name}" for rule in rules}
    kept = {name: text for name, text in bundle.modules.items() if name.startswith("archlab/")}
    todo = sorted(wanted)
    while todo:
        folder = todo.pop()
        own = {name: text for name, text in bundle.modules.items() if name.startswith(f"{folder}/")}
        if any(_COMPUTED.search(text) for text in own.values()):
            return dict(bundle.modules)
        kept |= own
        named = {rule for text in own.values() for rule in references(text)}
        todo += sorted(named - wanted)
        wanted |= named
    facts = [RuleFacts(r.area, r.name, r.origin, r.actions, r.requires, r.waivable) for r in rules]
    return {**kept, INDEX_KEY: index.generate(facts)}
