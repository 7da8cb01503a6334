package archlab.rules.deployment.canary_limited_test

import data.archlab.rules.deployment.canary_limited as rule
import rego.v1

refused := {"allow": false, "reasons": [{"rule": "promotion/approved_by_another", "code": "not_approved", "message": "Nobody."}]}

unapproved := {
	"resource": {"name": "departure-delay", "version": "2"},
	"evidence": {
		"percent": 10,
		"percent_allowed": 0,
		"version": {"author": "ada"},
		"as_champion": refused,
	},
}

approved := {
	"resource": {"name": "departure-delay", "version": "2"},
	"evidence": {
		"percent": 50,
		"percent_allowed": 0,
		"version": {"author": "ada", "approved_by": "grace", "changed_since_approval": false, "approved_age_days": 1},
		"as_champion": refused,
	},
}

codes := {reason.code | some reason in rule.reasons}

test_a_small_share_is_allowed if {
	rule.allow with input as unapproved
	codes == set() with input as unapproved
}

test_half_of_the_callers_are_allowed_with_an_approval if {
	rule.allow with input as approved
	codes == set() with input as approved
}

test_all_callers_are_allowed_for_what_may_be_champion if {
	rule.allow with input as json.patch(approved, [
		{"op": "add", "path": "/evidence/percent", "value": 100},
		{"op": "add", "path": "/evidence/as_champion", "value": {"allow": true, "reasons": []}},
	])
}

test_fewer_than_allowed_is_allowed if {
	rule.allow with input as json.patch(unapproved, [
		{"op": "add", "path": "/evidence/percent", "value": 60},
		{"op": "add", "path": "/evidence/percent_allowed", "value": 100},
	])
}

test_more_without_an_approval_is_refused if {
	not rule.allow with input as json.patch(unapproved, [{"op": "add", "path": "/evidence/percent", "value": 11}])
	codes == {"not_approved"} with input as json.patch(unapproved, [{"op": "add", "path": "/evidence/percent", "value": 11}])
}

test_an_approval_by_the_author_is_refused if {
	not rule.allow with input as json.patch(approved, [{"op": "add", "path": "/evidence/version/approved_by", "value": "ada"}])
}

test_a_lapsed_approval_is_refused if {
	not rule.allow with input as json.patch(approved, [{"op": "add", "path": "/evidence/version/approved_age_days", "value": 31}])
}

test_a_change_after_the_approval_is_refused if {
	not rule.allow with input as json.patch(approved, [{"op": "add", "path": "/evidence/version/changed_since_approval", "value": true}])
}

test_most_callers_for_what_may_not_be_champion_is_refused if {
	not rule.allow with input as json.patch(approved, [{"op": "add", "path": "/evidence/percent", "value": 51}])
	not rule.allow with input as json.patch(approved, [{"op": "add", "path": "/evidence/percent", "value": 100}])
	codes == {"as_champion"} with input as json.patch(approved, [{"op": "add", "path": "/evidence/percent", "value": 100}])
}

test_more_than_all_is_refused if {
	not rule.allow with input as json.patch(approved, [
		{"op": "add", "path": "/evidence/percent", "value": 101},
		{"op": "add", "path": "/evidence/as_champion/allow", "value": true},
	])
}

test_a_share_as_text_is_refused if {
	not rule.allow with input as json.patch(unapproved, [{"op": "add", "path": "/evidence/percent", "value": "1"}])
}

test_missing_share_is_refused if {
	not rule.allow with input as json.patch(unapproved, [{"op": "remove", "path": "/evidence/percent"}])
}

test_missing_verdict_is_refused if {
	not rule.allow with input as json.patch(unapproved, [{"op": "remove", "path": "/evidence/as_champion"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
