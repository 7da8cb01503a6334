package archlab.rules.deployment.holiday_freeze_test

import data.archlab.rules.deployment.holiday_freeze as rule
import rego.v1

good := {
	"time": "2013-12-02T08:00:00Z",
	"evidence": {"version": {"held_champion": false}},
}

codes := {reason.code | some reason in rule.reasons}

test_an_ordinary_day_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_the_day_before_is_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/time", "value": "2013-12-22T23:59:59Z"}])
}

test_the_first_frozen_day_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/time", "value": "2013-12-23T00:00:00Z"}])
	codes == {"frozen"} with input as json.patch(good, [{"op": "add", "path": "/time", "value": "2013-12-23T00:00:00Z"}])
}

test_the_last_frozen_day_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/time", "value": "2013-12-26T23:30:00Z"}])
}

test_a_rollback_in_the_freeze_is_allowed if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/time", "value": "2013-12-25T08:00:00Z"},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
	])
}

test_what_was_withdrawn_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/time", "value": "2013-12-25T08:00:00Z"},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": true},
	])
}

test_what_was_replaced_long_ago_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/time", "value": "2013-12-25T08:00:00Z"},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 31},
	])
}

test_missing_time_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/time"}])
}

test_missing_history_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/held_champion"}])
}

test_a_time_that_is_no_text_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/time", "value": 20131202}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}

canary := {
	"action": "deployment/canary",
	"time": "2013-12-24T08:00:00Z",
	"evidence": {"version": {"held_champion": false}, "percent": 5, "percent_allowed": 0},
}

test_a_canary_in_the_freeze_is_refused if {
	not rule.allow with input as canary
	codes == {"frozen"} with input as canary
}

test_a_canary_before_the_freeze_is_allowed if {
	rule.allow with input as json.patch(canary, [{"op": "add", "path": "/time", "value": "2013-12-20T08:00:00Z"}])
}

test_the_same_share_again_in_the_freeze_is_refused if {
	not rule.allow with input as json.patch(canary, [{"op": "add", "path": "/evidence/percent_allowed", "value": 5}])
}

test_taking_callers_back_in_the_freeze_is_allowed if {
	rule.allow with input as json.patch(canary, [{"op": "add", "path": "/evidence/percent_allowed", "value": 50}])
	rule.allow with input as json.patch(canary, [{"op": "add", "path": "/evidence/percent", "value": 0}])
}

test_missing_share_in_the_freeze_is_refused if {
	not rule.allow with input as json.patch(canary, [{"op": "remove", "path": "/evidence/percent"}])
}
