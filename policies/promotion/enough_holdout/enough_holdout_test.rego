package archlab.rules.promotion.enough_holdout_test

import data.archlab.rules.promotion.enough_holdout as rule
import rego.v1

good := {"evidence": {"version": {"metrics": {"auc": 0.78, "holdout_rows": 2000}}}}

codes := {reason.code | some reason in rule.reasons}

test_many_rows_are_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_the_least_is_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/metrics/holdout_rows", "value": 100}])
}

test_fewer_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/metrics/holdout_rows", "value": 99}])
	codes == {"too_few"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/metrics/holdout_rows", "value": 99}])
}

test_a_number_as_text_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/metrics/holdout_rows", "value": "2000"}])
}

test_missing_count_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/metrics/holdout_rows"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
