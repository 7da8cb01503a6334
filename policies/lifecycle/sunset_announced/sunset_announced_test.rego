package archlab.rules.lifecycle.sunset_announced_test

import data.archlab.rules.lifecycle.sunset_announced as rule
import rego.v1

good := {"evidence": {"sunset": "2013-12-07T00:00:00+00:00", "notice_days": 30.6}}

codes := {reason.code | some reason in rule.reasons}

test_a_month_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_a_week_is_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/notice_days", "value": 7}])
}

test_less_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/notice_days", "value": 6.99}])
	codes == {"short_notice"} with input as json.patch(good, [{"op": "add", "path": "/evidence/notice_days", "value": -3}])
}

test_years_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/notice_days", "value": 366}])
	codes == {"too_far"} with input as json.patch(good, [{"op": "add", "path": "/evidence/notice_days", "value": 366}])
}

test_days_as_text_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/notice_days", "value": "30"}])
}

test_missing_sunset_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/sunset"}])
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/notice_days"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
