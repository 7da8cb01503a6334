package archlab.rules.lifecycle.decided_by_owner_test

import data.archlab.rules.lifecycle.decided_by_owner as rule
import rego.v1

good := {
	"action": "lifecycle/deprecate",
	"subject": {"user": "ada", "team": "operations", "roles": ["developer"]},
	"resource": {"name": "departure-delay", "team": "operations"},
	"evidence": {"serves": true},
}

retires := json.patch(good, [{"op": "add", "path": "/action", "value": "lifecycle/retire"}])

operator := json.patch(retires, [{"op": "add", "path": "/subject", "value": {"user": "ops", "team": "platform", "roles": ["operator"]}}])

codes := {reason.code | some reason in rule.reasons}

test_a_developer_of_the_team_deprecates_and_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_a_developer_retires_what_answers_nobody_and_is_allowed if {
	rule.allow with input as json.patch(retires, [{"op": "add", "path": "/evidence/serves", "value": false}])
}

test_an_operator_retires_a_champion_and_is_allowed if {
	rule.allow with input as operator
}

test_a_developer_who_retires_a_champion_is_refused if {
	not rule.allow with input as retires
	codes == {"serves"} with input as retires
}

test_another_team_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/subject/team", "value": "revenue"}])
	codes == {"not_an_owner"} with input as json.patch(good, [{"op": "add", "path": "/subject/team", "value": "revenue"}])
}

test_pipelines_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/subject/roles", "value": ["trainer"]}])
}

test_no_team_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/subject/team", "value": ""},
		{"op": "add", "path": "/resource/team", "value": ""},
	])
}

test_missing_service_is_refused if {
	not rule.allow with input as json.patch(retires, [{"op": "remove", "path": "/evidence/serves"}])
	not rule.allow with input as json.patch(operator, [{"op": "remove", "path": "/evidence/serves"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
