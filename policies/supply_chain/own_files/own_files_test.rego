package archlab.rules.supply_chain.own_files_test

import data.archlab.rules.supply_chain.own_files as rule
import rego.v1

good := {
	"subject": {"user": "ada", "team": "operations", "roles": ["developer"]},
	"resource": {"name": "departure-delay", "team": "operations"},
	"evidence": {"source_teams": ["operations"]},
}

codes := {reason.code | some reason in rule.reasons}

test_ones_own_files_are_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_a_source_outside_the_store_is_another_rules_business if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/source_teams", "value": []}])
}

test_another_teams_files_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/source_teams", "value": ["operations", "revenue"]}])
	codes == {"other_team"} with input as json.patch(good, [{"op": "add", "path": "/evidence/source_teams", "value": ["operations", "revenue"]}])
}

test_nobodys_files_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/source_teams", "value": ["platform"]}])
}

test_an_operator_is_allowed if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/subject/roles", "value": ["operator"]},
		{"op": "add", "path": "/evidence/source_teams", "value": ["revenue"]},
	])
}

test_missing_teams_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/source_teams"}])
}

test_missing_roles_are_no_operators if {
	not rule.allow with input as json.patch(good, [
		{"op": "remove", "path": "/subject/roles"},
		{"op": "add", "path": "/evidence/source_teams", "value": ["revenue"]},
	])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
