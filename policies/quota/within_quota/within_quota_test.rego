package archlab.rules.quota.within_quota_test

import data.archlab.rules.quota.within_quota as rule
import rego.v1

good := {
	"resource": {"team": "revenue"},
	"evidence": {"asks": [
		{"what": "memory", "used": 256, "limit": 256, "borrowed": 0},
		{"what": "budget", "used": 79, "limit": 80, "borrowed": 0},
	]},
}

codes := {reason.code | some reason in rule.reasons}

test_all_of_a_quota_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_more_than_the_quota_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/asks/0/used", "value": 257}])
	codes == {"memory"} with input as json.patch(good, [{"op": "add", "path": "/evidence/asks/0/used", "value": 257}])
}

test_what_is_borrowed_is_allowed if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/asks/0/used", "value": 300},
		{"op": "add", "path": "/evidence/asks/0/borrowed", "value": 44},
	])
}

test_less_borrowed_than_needed_is_refused if {
	not rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/evidence/asks/0/used", "value": 300},
		{"op": "add", "path": "/evidence/asks/0/borrowed", "value": 43},
	])
}

test_each_quota_has_its_reason if {
	codes == {"memory", "budget"} with input as json.patch(good, [
		{"op": "add", "path": "/evidence/asks/0/used", "value": 300},
		{"op": "add", "path": "/evidence/asks/1/used", "value": 81},
	])
}

test_something_unknown_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/asks/0/what", "value": "fame"}])
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/asks/0/used", "value": "1"}])
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/asks/0/borrowed", "value": -5}])
}

test_missing_asks_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/asks"}])
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/asks", "value": []}])
	not rule.allow with input as {}
}
