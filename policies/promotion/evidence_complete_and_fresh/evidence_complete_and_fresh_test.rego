package archlab.rules.promotion.evidence_complete_and_fresh_test

import data.archlab.rules.promotion.evidence_complete_and_fresh as rule
import rego.v1

good := {"evidence": {"version": {
	"metric": "auc",
	"value": 0.78,
	"baseline": 0.65,
	"data_digest": "d1",
	"code_version": "c1",
	"columns": [{"name": "hour", "source": "request"}],
	"evaluated_at": "2013-11-04T08:00:00Z",
	"evaluated_age_days": 2.5,
	"held_champion": false,
}}}

codes := {reason.code | some reason in rule.reasons}

test_complete_and_recent_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_thirty_days_are_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/evaluated_age_days", "value": 30}])
}

test_older_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/evaluated_age_days", "value": 30.1}])
	codes == {"stale"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/evaluated_age_days", "value": 31}])
}

test_a_rollback_may_be_older if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/version/evaluated_age_days", "value": 90},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
	])
}

test_what_was_withdrawn_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/version/evaluated_age_days", "value": 90},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": true},
	])
}

test_what_was_replaced_long_ago_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/version/evaluated_age_days", "value": 90},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 31},
	])
}

test_from_the_future_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/evaluated_age_days", "value": -0.5}])
	codes == {"from_the_future"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/evaluated_age_days", "value": -2}])
}

test_text_for_a_metric_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/value", "value": "0.9"}])
	codes == {"not_a_number"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/value", "value": "0.9"}])
}

test_a_rollback_with_text_for_an_age_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/version/evaluated_age_days", "value": "2"},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": true},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
	])
}

test_missing_value_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/value"}])
}

test_missing_age_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/evaluated_age_days"}])
}

test_fields_that_must_be_there_are_declared if {
	{"evidence.version.data_digest", "evidence.version.code_version", "evidence.version.columns"} & rule.requires == {"evidence.version.data_digest", "evidence.version.code_version", "evidence.version.columns"}
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
