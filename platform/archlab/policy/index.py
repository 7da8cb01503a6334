"""The generated part of the decision document: which rules there are, when they apply, what each objects to.

A loop over `data.archlab.rules[area]` would need no generated code, but rego-cpp finds nothing behind a computed
reference and copies whole documents where it does; and one rule's error would fail the decisions of every area. So the
bundle names each rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FIELD = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
"""What an entry of `requires` looks like."""

HEADER = """# Generated when the bundle is published; one block per rule.
package archlab

import rego.v1
"""


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """What a rule declares about itself."""

    area: str
    name: str
    origin: str
    actions: tuple[str, ...]
    """Actions that it covers; empty: every action of its area that another rule names."""
    requires: tuple[str, ...]
    """Fields of the input that must be there, e.g. `evidence.version.sha256`."""
    waivable: bool = False
    """Whether an exception may stand in for it; a rule that does not say so can't be waived."""


def generate(rules: Sequence[RuleFacts]) -> str:
    """`archlab/index.rego`."""
    blocks = [block for rule in rules for block in _rule(rule)]
    fields = sorted({field for rule in rules for field in rule.requires})
    present = [f"present contains {json.dumps(field)} if input.{field} != null\n" for field in fields]
    return "\n".join([HEADER, *_covered(rules), *blocks, *present])


def _covered(rules: Iterable[RuleFacts]) -> list[str]:
    actions = sorted({action for rule in rules for action in rule.actions})
    return [f"covered if input.action == {json.dumps(action)}\n" for action in actions]


def _rule(rule: RuleFacts) -> list[str]:
    document = f"data.archlab.rules.{rule.area}.{rule.name}"
    name = json.dumps(f"{rule.area}/{rule.name}")
    applies = (
        f"input.action in {json.dumps(list(rule.actions))}" if rule.actions else f"area == {json.dumps(rule.area)}"
    )
    return [
        f"applies contains {name} if {applies}\n",
        f"""blocked contains {name} if {{
	applies[{name}]
	some _ in {document}.reasons
}}
""",
        f"""passes contains {name} if {{
	applies[{name}]
	{document}.allow == true
	not blocked[{name}]
}}
""",
        f"""refusals contains {{"rule": {name}, "code": reason.code, "message": reason.message}} if {{
	blocked[{name}]
	some reason in {document}.reasons
}}
""",
        *([f"waivable contains {name} if applies[{name}]\n"] if rule.waivable else []),
        *(_missing(name, field) for field in rule.requires),
    ]


def _missing(name: str, field: str) -> str:
    message = json.dumps(f"{field} is missing.")
    return f"""refusals contains {{"rule": {name}, "code": "missing_field", "message": {message}}} if {{
	applies[{name}]
	not present[{json.dumps(field)}]
}}
"""
