package archlab.rules.promotion.beats_baseline_and_champion_test

import data.archlab.rules.promotion.beats_baseline_and_champion as rule
import rego.v1

good := {"evidence": {
	"has_champion": true,
	"champion": {"version": "1", "value": 0.75},
	"version": {"metric": "auc", "value": 0.78, "baseline": 0.65, "held_champion": false},
}}

codes := {reason.code | some reason in rule.reasons}

test_better_than_both_is_allowed if {
	rule.allow with input as good
	rule.reasons == set() with input as good
}

test_first_champion_needs_only_the_baseline if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/has_champion", "value": false},
		{"op": "remove", "path": "/evidence/champion"},
	])
}

test_worse_than_the_baseline_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/value", "value": 0.64}])
	codes == {"below_baseline", "below_champion"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/value", "value": 0.64}])
}

test_equal_to_the_champion_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/value", "value": 0.75}])
	codes == {"below_champion"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/value", "value": 0.75}])
}

test_going_back_to_an_earlier_champion_is_allowed if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/version/value", "value": 0.7},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
	])
}

test_what_was_withdrawn_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/version/value", "value": 0.7},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": true},
	])
}

test_what_was_replaced_long_ago_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/version/value", "value": 0.7},
		{"op": "add", "path": "/evidence/version/held_champion", "value": true},
		{"op": "add", "path": "/evidence/version/serves", "value": false},
		{"op": "add", "path": "/evidence/version/withdrawn", "value": false},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 3},
		{"op": "add", "path": "/evidence/version/replaced_age_days", "value": 31},
	])
}

test_less_is_better_for_errors if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/version/metric", "value": "mae"},
		{"op": "add", "path": "/evidence/version/value", "value": 5.8},
		{"op": "add", "path": "/evidence/version/baseline", "value": 7.8},
		{"op": "add", "path": "/evidence/champion/value", "value": 5.9},
	])
}

test_more_is_worse_for_errors if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/metric", "value": "mae"}])
}

test_unknown_metric_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/metric", "value": "vibes"}])
	codes == {"unknown_metric"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/metric", "value": "vibes"}])
}

test_missing_value_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/value"}])
}

test_missing_baseline_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/baseline"}])
}

test_missing_metric_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/metric"}])
}

test_champion_without_the_metric_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/champion/value"}])
	"champion_not_comparable" in codes with input as json.patch(good, [{"op": "remove", "path": "/evidence/champion/value"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
