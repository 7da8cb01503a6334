package archlab.rules.quota.raised_by_role_test

import data.archlab.rules.quota.raised_by_role as rule
import rego.v1

good := {
	"subject": {"user": "ops", "roles": ["operator"]},
	"evidence": {"what": "memory", "limit": 512},
}

codes := {reason.code | some reason in rule.reasons}

money := json.patch(good, [{"op": "add", "path": "/evidence/what", "value": "budget"}])

test_an_operator_who_changes_what_runs_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_an_operator_who_changes_money_is_refused if {
	not rule.allow with input as money
	codes == {"not_the_keeper"} with input as money
}

test_finance_changes_money_and_nothing_else if {
	rule.allow with input as json.patch(money, [{"op": "add", "path": "/subject/roles", "value": ["viewer", "finance"]}])
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/subject/roles", "value": ["viewer", "finance"]}])
}

test_something_unknown_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/what", "value": "fame"}])
	codes == {"unknown"} with input as json.patch(good, [{"op": "add", "path": "/evidence/what", "value": "fame"}])
}

test_a_limit_below_nothing_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/limit", "value": -1}])
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/limit"}])
}

test_missing_roles_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/subject/roles"}])
	not rule.allow with input as {}
}
