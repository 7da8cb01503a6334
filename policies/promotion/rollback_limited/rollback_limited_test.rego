package archlab.rules.promotion.rollback_limited_test

import data.archlab.rules.promotion.rollback_limited as rule
import rego.v1

back := {
	"resource": {"version": "1"},
	"evidence": {"version": {"held_champion": true, "serves": false, "withdrawn": false, "replaced_age_days": 2.5}},
}

newcomer := {"evidence": {"version": {"held_champion": false, "serves": false, "withdrawn": false}}}

codes := {reason.code | some reason in rule.reasons}

test_a_champion_of_the_last_days_is_a_rollback if {
	rule.allow with input as back
	rule.is_rollback with input as back
	rule.nothing_new with input as back
	codes == set() with input as back
}

test_thirty_days_are_allowed if {
	rule.is_rollback with input as json.patch(back, [{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 30}])
}

test_the_champion_set_once_more_is_nothing_new if {
	rule.allow with input as json.patch(back, [
		{"op": "add", "path": "/evidence/version/serves", "value": true},
		{"op": "remove", "path": "/evidence/version/replaced_age_days"},
	])
	rule.nothing_new with input as json.patch(back, [
		{"op": "add", "path": "/evidence/version/serves", "value": true},
		{"op": "remove", "path": "/evidence/version/replaced_age_days"},
	])
}

test_a_newcomer_is_allowed_and_no_rollback if {
	rule.allow with input as newcomer
	not rule.nothing_new with input as newcomer
	codes == set() with input as newcomer
}

test_long_replaced_is_no_rollback if {
	rule.allow with input as json.patch(back, [{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 30.5}])
	not rule.nothing_new with input as json.patch(back, [{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 30.5}])
}

test_what_was_withdrawn_is_no_rollback if {
	rule.allow with input as json.patch(back, [{"op": "add", "path": "/evidence/version/withdrawn", "value": true}])
	not rule.nothing_new with input as json.patch(back, [{"op": "add", "path": "/evidence/version/withdrawn", "value": true}])
}

test_replaced_in_the_future_is_refused if {
	not rule.allow with input as json.patch(back, [{"op": "add", "path": "/evidence/version/replaced_age_days", "value": -1}])
	not rule.nothing_new with input as json.patch(back, [{"op": "add", "path": "/evidence/version/replaced_age_days", "value": -1}])
	codes == {"from_the_future"} with input as json.patch(back, [{"op": "add", "path": "/evidence/version/replaced_age_days", "value": -1}])
}

test_missing_end_is_refused if {
	not rule.allow with input as json.patch(back, [{"op": "remove", "path": "/evidence/version/replaced_age_days"}])
	not rule.nothing_new with input as json.patch(back, [{"op": "remove", "path": "/evidence/version/replaced_age_days"}])
	codes == {"unknown_end"} with input as json.patch(back, [{"op": "remove", "path": "/evidence/version/replaced_age_days"}])
}

test_missing_history_is_refused if {
	not rule.allow with input as json.patch(back, [{"op": "remove", "path": "/evidence/version/held_champion"}])
	not rule.allow with input as json.patch(back, [{"op": "remove", "path": "/evidence/version/serves"}])
	not rule.allow with input as json.patch(back, [{"op": "remove", "path": "/evidence/version/withdrawn"}])
	not rule.nothing_new with input as json.patch(back, [{"op": "remove", "path": "/evidence/version/withdrawn"}])
	not rule.allow with input as json.patch(newcomer, [{"op": "remove", "path": "/evidence/version/serves"}])
}

test_text_for_yes_is_refused if {
	not rule.allow with input as json.patch(back, [{"op": "add", "path": "/evidence/version/held_champion", "value": "true"}])
	not rule.nothing_new with input as json.patch(back, [{"op": "add", "path": "/evidence/version/withdrawn", "value": "false"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
