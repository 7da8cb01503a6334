package archlab.rules.exception.waivable_rule_test

import data.archlab.rules.exception.waivable_rule as rule
import rego.v1

good := {"evidence": {"rule": "promotion/enough_holdout", "known": true, "waivable": true}}

codes := {reason.code | some reason in rule.reasons}

test_a_waivable_rule_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_another_rule_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/waivable", "value": false}])
	codes == {"never_waived"} with input as json.patch(good, [{"op": "add", "path": "/evidence/waivable", "value": false}])
}

test_an_unknown_rule_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/known", "value": false}])
	codes == {"unknown_rule"} with input as json.patch(good, [{"op": "add", "path": "/evidence/known", "value": false}])
}

test_waivable_as_text_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/waivable", "value": "true"}])
}

test_missing_rule_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/rule"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
