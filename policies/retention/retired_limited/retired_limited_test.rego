package archlab.rules.retention.retired_limited_test

import data.archlab.rules.retention.retired_limited as rule
import rego.v1

good := {
	"resource": {"name": "departure-delay", "version": "2"},
	"evidence": {"state": "retired", "retired_age_days": 29.9, "hold": ""},
}

codes := {reason.code | some reason in rule.reasons}

test_a_month_after_it_was_retired_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_what_is_not_retired_is_allowed if {
	rule.allow with input as {"evidence": {"state": "former", "hold": ""}}
}

test_what_is_on_hold_is_allowed if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/hold", "value": "incident"},
		{"op": "add", "path": "/evidence/retired_age_days", "value": 400},
	])
}

test_longer_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/retired_age_days", "value": 30}])
	codes == {"over"} with input as json.patch(good, [{"op": "add", "path": "/evidence/retired_age_days", "value": 31.5}])
}

test_a_day_to_come_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/retired_age_days", "value": -1}])
}

test_missing_age_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/retired_age_days"}])
	codes == {"unknown_age"} with input as json.patch(good, [{"op": "remove", "path": "/evidence/retired_age_days"}])
}

test_missing_hold_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/hold"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
