package archlab.rules.access.granted_by_owner_test

import data.archlab.rules.access.granted_by_owner as rule
import rego.v1

good := {
	"subject": {"user": "care-lead", "team": "customer-care", "roles": ["developer", "approver"]},
	"resource": {"kind": "model", "name": "missed-connection", "team": "customer-care"},
	"evidence": {"team": "operations", "may": "call"},
}

codes := {reason.code | some reason in rule.reasons}

test_an_approver_of_the_owner_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_an_operator_is_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/subject", "value": {"user": "ops", "team": "platform", "roles": ["operator"]}}])
}

test_a_developer_of_the_owner_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/subject/roles", "value": ["developer"]}])
}

test_the_team_that_wants_it_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/subject/team", "value": "operations"}])
	codes == {"not_the_owner"} with input as json.patch(good, [{"op": "add", "path": "/subject/team", "value": "operations"}])
}

test_the_owner_itself_gets_none if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/team", "value": "customer-care"}])
	codes == {"own_team"} with input as json.patch(good, [{"op": "add", "path": "/evidence/team", "value": "customer-care"}])
}

test_writing_is_never_granted if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/may", "value": "write"}])
}

test_missing_roles_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/subject/roles"}])
}

test_two_missing_teams_are_not_equal if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/resource/team", "value": ""},
		{"op": "add", "path": "/subject/team", "value": ""},
	])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
