package archlab.rules.retention.former_champions_test

import data.archlab.rules.retention.former_champions as rule
import rego.v1

good := {"evidence": {"versions": [
	{"version": "1", "held_champion": true, "replaced_age_days": 45},
	{"version": "3", "held_champion": false},
]}}

codes := {reason.code | some reason in rule.reasons}

test_long_replaced_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_no_versions_at_all_are_allowed if {
	rule.allow with input as {"evidence": {"versions": []}}
}

test_lately_replaced_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/versions/0/replaced_age_days", "value": 29}])
	codes == {"rollback"} with input as json.patch(good, [{"op": "add", "path": "/evidence/versions/0/replaced_age_days", "value": 29}])
}

test_never_replaced_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/versions/0/replaced_age_days"}])
}

test_missing_history_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/versions/1/held_champion"}])
}

test_missing_versions_are_refused if {
	not rule.allow with input as {"evidence": {}}
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
