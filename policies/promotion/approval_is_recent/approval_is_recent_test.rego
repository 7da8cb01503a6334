package archlab.rules.promotion.approval_is_recent_test

import data.archlab.rules.promotion.approval_is_recent as rule
import rego.v1

good := {
	"resource": {"version": "2"},
	"evidence": {"version": {"approved_age_days": 1.5, "held_champion": false}},
}

codes := {reason.code | some reason in rule.reasons}

test_recent_approval_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_thirty_days_are_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/approved_age_days", "value": 30}])
}

test_lapsed_approval_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/approved_age_days", "value": 30.5}])
	codes == {"lapsed"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/approved_age_days", "value": 31}])
}

test_rollback_with_an_old_approval_is_allowed if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/version/approved_age_days", "value": 90},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
	])
}

test_what_was_withdrawn_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/version/approved_age_days", "value": 90},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": true},
	])
}

test_what_was_replaced_long_ago_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/version/approved_age_days", "value": 90},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 31},
	])
}

test_approval_from_the_future_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/approved_age_days", "value": -1}])
	codes == {"from_the_future"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/approved_age_days", "value": -1}])
}

test_age_as_text_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/approved_age_days", "value": "1"}])
}

test_missing_age_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/approved_age_days"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
