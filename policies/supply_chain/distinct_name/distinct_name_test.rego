package archlab.rules.supply_chain.distinct_name_test

import data.archlab.rules.supply_chain.distinct_name as rule
import rego.v1

good := {"evidence": {"name": "gate-delay", "others": ["departure-delay", "flight-time"]}}

codes := {reason.code | some reason in rule.reasons}

test_a_new_name_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_the_first_model_is_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/others", "value": []}])
}

test_another_separator_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/name", "value": "flight_time"}])
	codes == {"look_alike"} with input as json.patch(good, [{"op": "add", "path": "/evidence/name", "value": "flight_time"}])
}

test_a_digit_for_a_letter_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/name", "value": "f1ight-time"}])
}

test_other_alphabets_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/name", "value": "flight-tіme"}])
	codes == {"malformed"} with input as json.patch(good, [{"op": "add", "path": "/evidence/name", "value": "flight-tіme"}])
}

test_a_path_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/name", "value": "../flight-time"}])
}

test_missing_others_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/others"}])
}

test_missing_name_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/name"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
