package archlab.rules.access.registry_write_test

import data.archlab.rules.access.registry_write as rule
import rego.v1

developer := {
	"subject": {"user": "ada", "team": "operations", "roles": ["developer"]},
	"resource": {"kind": "registered-model", "name": "departure-delay", "team": "operations"},
}

codes := {reason.code | some reason in rule.reasons}

test_developer_of_the_team_is_allowed if {
	rule.allow with input as developer
	codes == set() with input as developer
}

test_operator_is_allowed_everywhere if {
	rule.allow with input as json.patch(developer, [{"op": "add", "path": "/subject", "value": {"user": "ops", "team": "platform", "roles": ["operator"]}}])
}

test_trainer_is_allowed_everywhere if {
	rule.allow with input as json.patch(developer, [{"op": "add", "path": "/subject", "value": {"user": "trainer", "team": "platform", "roles": ["trainer"]}}])
}

test_developer_of_another_team_is_refused if {
	not rule.allow with input as json.patch(developer, [{"op": "add", "path": "/subject/team", "value": "revenue"}])
	codes == {"other_team"} with input as json.patch(developer, [{"op": "add", "path": "/subject/team", "value": "revenue"}])
}

test_viewer_is_refused if {
	not rule.allow with input as json.patch(developer, [{"op": "add", "path": "/subject/roles", "value": ["viewer"]}])
	codes == {"role"} with input as json.patch(developer, [{"op": "add", "path": "/subject/roles", "value": ["viewer"]}])
}

test_approver_is_refused if {
	not rule.allow with input as json.patch(developer, [{"op": "add", "path": "/subject/roles", "value": ["viewer", "approver"]}])
}

test_missing_roles_are_refused if {
	not rule.allow with input as json.patch(developer, [{"op": "remove", "path": "/subject/roles"}])
}

test_missing_team_of_the_resource_is_refused if {
	not rule.allow with input as json.patch(developer, [{"op": "remove", "path": "/resource/team"}])
}

test_two_missing_teams_are_not_equal if {
	not rule.allow with input as json.patch(developer, [
		{"op": "add", "path": "/resource/team", "value": ""},
		{"op": "add", "path": "/subject/team", "value": ""},
	])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
