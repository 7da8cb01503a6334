package archlab.rules.access.champion_protected_test

import data.archlab.rules.access.champion_protected as rule
import rego.v1

developer := {
	"subject": {"user": "ada", "roles": ["developer"]},
	"resource": {"name": "departure-delay"},
	"evidence": {"operation": "Deleting the registered model"},
}

codes := {reason.code | some reason in rule.reasons}

test_operator_is_allowed if {
	rule.allow with input as json.patch(developer, [{"op": "add", "path": "/subject/roles", "value": ["operator"]}])
}

test_developer_is_refused if {
	not rule.allow with input as developer
	codes == {"champion"} with input as developer
}

test_missing_roles_are_refused if {
	not rule.allow with input as json.patch(developer, [{"op": "remove", "path": "/subject/roles"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
