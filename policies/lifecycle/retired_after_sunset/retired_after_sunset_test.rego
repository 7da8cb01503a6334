package archlab.rules.lifecycle.retired_after_sunset_test

import data.archlab.rules.lifecycle.retired_after_sunset as rule
import rego.v1

good := {
	"resource": {"name": "departure-delay"},
	"evidence": {"state": "deprecated", "serves": true, "reason": "replaced", "sunset_age_days": 0.5},
}

codes := {reason.code | some reason in rule.reasons}

test_after_the_sunset_it_is_allowed if {
	rule.allow with input as good
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/sunset_age_days", "value": 0}])
	codes == set() with input as good
}

test_what_answers_nobody_is_allowed if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/state", "value": "candidate"},
		{"op": "add", "path": "/evidence/serves", "value": false},
	])
}

test_before_the_sunset_it_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/sunset_age_days", "value": -0.01}])
	codes == {"before_sunset"} with input as json.patch(good, [{"op": "add", "path": "/evidence/sunset_age_days", "value": -3}])
}

test_a_champion_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/state", "value": "champion"}])
}

test_no_reason_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/reason", "value": " "}])
	codes == {"no_reason"} with input as json.patch(good, [{"op": "add", "path": "/evidence/reason", "value": " "}])
}

test_missing_sunset_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/sunset_age_days"}])
	codes == {"no_sunset"} with input as json.patch(good, [{"op": "remove", "path": "/evidence/sunset_age_days"}])
}

test_missing_state_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/state"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
