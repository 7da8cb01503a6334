package archlab.rules.exception.revoked_by_keeper_test

import data.archlab.rules.exception.revoked_by_keeper as rule
import rego.v1

good := {
	"subject": {"user": "grace", "roles": ["approver"]},
	"evidence": {"rule": "promotion/enough_holdout"},
}

codes := {reason.code | some reason in rule.reasons}

test_an_approver_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_an_operator_is_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/subject/roles", "value": ["operator"]}])
}

test_a_developer_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/subject/roles", "value": ["developer", "trainer"]}])
	codes == {"not_a_keeper"} with input as json.patch(good, [{"op": "add", "path": "/subject/roles", "value": ["developer", "trainer"]}])
}

test_missing_rule_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/rule"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
