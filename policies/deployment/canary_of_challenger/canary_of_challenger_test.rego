package archlab.rules.deployment.canary_of_challenger_test

import data.archlab.rules.deployment.canary_of_challenger as rule
import rego.v1

good := {
	"resource": {"name": "departure-delay", "version": "2"},
	"evidence": {
		"percent": 10,
		"percent_allowed": 0,
		"percent_routed": 0,
		"has_champion": true,
		"version": {"state": "challenger"},
		"as_challenger": {"allow": true, "reasons": []},
	},
}

codes := {reason.code | some reason in rule.reasons}

test_a_challenger_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_fewer_than_allowed_needs_nothing_else if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/percent_allowed", "value": 50},
		{"op": "add", "path": "/evidence/percent_routed", "value": 10},
		{"op": "add", "path": "/evidence/version/state", "value": "candidate"},
		{"op": "add", "path": "/evidence/as_challenger/allow", "value": false},
	])
}

test_taking_back_nothing_is_allowed if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/percent", "value": 0},
		{"op": "add", "path": "/evidence/version/state", "value": "candidate"},
	])
}

test_a_candidate_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/state", "value": "candidate"}])
	codes == {"not_challenger"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/state", "value": "candidate"}])
}

test_what_is_retired_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/state", "value": "retired"}])
}

test_without_a_champion_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/has_champion", "value": false}])
	codes == {"no_champion"} with input as json.patch(good, [{"op": "add", "path": "/evidence/has_champion", "value": false}])
}

test_what_would_not_become_challenger_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/as_challenger", "value": {"allow": false, "reasons": [{"rule": "data/restricted_columns", "code": "restricted", "message": "It uses aircraft_state."}]}}])
	codes == {"as_challenger"} with input as json.patch(good, [{"op": "add", "path": "/evidence/as_challenger", "value": {"allow": false, "reasons": [{"rule": "data/restricted_columns", "code": "restricted", "message": "It uses aircraft_state."}]}}])
}

test_less_than_is_routed_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/percent", "value": 0},
		{"op": "add", "path": "/evidence/percent_allowed", "value": 50},
		{"op": "add", "path": "/evidence/percent_routed", "value": 50},
	])
	codes == {"in_traffic"} with input as json.patch(good, [
		{"op": "add", "path": "/evidence/percent", "value": 0},
		{"op": "add", "path": "/evidence/percent_allowed", "value": 50},
		{"op": "add", "path": "/evidence/percent_routed", "value": 50},
	])
}

test_no_share_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/percent", "value": 101}])
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/percent", "value": -1}])
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/percent", "value": 0.5}])
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/percent", "value": "10"}])
	codes == {"not_a_share"} with input as json.patch(good, [{"op": "add", "path": "/evidence/percent", "value": "10"}])
}

test_missing_share_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/percent"}])
}

test_missing_verdict_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/as_challenger"}])
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/state"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
