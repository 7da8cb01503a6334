package archlab.rules.exception.limited_test

import data.archlab.rules.exception.limited as rule
import rego.v1

good := {"evidence": {
	"until": "2013-11-20T00:00:00+00:00",
	"days": 13.6,
	"owner": "ada",
	"reason": "labels of the strike week are late",
}}

codes := {reason.code | some reason in rule.reasons}

test_an_exception_with_an_end_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_thirty_days_are_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/days", "value": 30}])
}

test_longer_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/days", "value": 30.01}])
	codes == {"too_long"} with input as json.patch(good, [{"op": "add", "path": "/evidence/days", "value": 31}])
}

test_an_end_that_has_passed_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/days", "value": 0}])
	codes == {"in_the_past"} with input as json.patch(good, [{"op": "add", "path": "/evidence/days", "value": -1}])
}

test_days_as_text_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/days", "value": "3"}])
}

test_no_reason_worth_the_name_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/reason", "value": "urgent       "}])
	codes == {"no_reason"} with input as json.patch(good, [{"op": "add", "path": "/evidence/reason", "value": "urgent"}])
}

test_an_owner_of_blanks_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/owner", "value": " "}])
}

test_missing_owner_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/owner"}])
}

test_missing_end_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/until"}])
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/days"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
