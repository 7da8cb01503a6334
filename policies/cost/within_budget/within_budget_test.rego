package archlab.rules.cost.within_budget_test

import data.archlab.rules.cost.within_budget as rule
import rego.v1

good := {"evidence": {
	"cost": {
		"team": "customer-care",
		"planned_nanousd_per_30_days": 399000000000,
		"spent_nanousd_last_30_days": 120000000000,
	},
	"version": {"held_champion": false},
}}

codes := {reason.code | some reason in rule.reasons}

test_within_the_budget_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_all_of_the_budget_is_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/cost/planned_nanousd_per_30_days", "value": 400000000000}])
}

test_a_team_with_a_budget_of_its_own_is_allowed if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/cost/team", "value": "operations"},
		{"op": "add", "path": "/evidence/cost/planned_nanousd_per_30_days", "value": 480000000000},
	])
}

test_more_than_planned_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/cost/planned_nanousd_per_30_days", "value": 400000000001}])
	codes == {"planned"} with input as json.patch(good, [{"op": "add", "path": "/evidence/cost/planned_nanousd_per_30_days", "value": 832000000000}])
}

test_more_than_spent_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/cost/spent_nanousd_last_30_days", "value": 400000000001}])
	codes == {"spent"} with input as json.patch(good, [{"op": "add", "path": "/evidence/cost/spent_nanousd_last_30_days", "value": 500000000000}])
}

test_a_rollback_is_allowed if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/cost/planned_nanousd_per_30_days", "value": 900000000000},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
	])
}

test_what_was_withdrawn_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/cost/planned_nanousd_per_30_days", "value": 900000000000},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": true},
	])
}

test_what_was_replaced_long_ago_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/cost/planned_nanousd_per_30_days", "value": 900000000000},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 31},
	])
}

test_a_cost_below_nothing_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/cost/planned_nanousd_per_30_days", "value": -1}])
}

test_a_cost_as_text_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/cost/spent_nanousd_last_30_days", "value": "0"}])
}

test_missing_cost_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/cost"}])
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/cost/spent_nanousd_last_30_days"}])
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/cost/team"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
