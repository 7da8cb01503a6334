package archlab.rules.access.reserved_alias_test

import data.archlab.rules.access.reserved_alias as rule
import rego.v1

good := {"evidence": {"alias": "candidate"}}

codes := {reason.code | some reason in rule.reasons}

test_a_plain_name_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_champion_itself_is_allowed if {
	rule.allow with input as {"evidence": {"alias": "champion"}}
}

test_digits_for_letters_are_refused if {
	not rule.allow with input as {"evidence": {"alias": "champi0n"}}
	codes == {"look_alike"} with input as {"evidence": {"alias": "champi0n"}}
}

test_separators_are_refused if {
	not rule.allow with input as {"evidence": {"alias": "cham-pion"}}
}

test_capitals_are_refused if {
	not rule.allow with input as {"evidence": {"alias": "Champion"}}
	codes == {"look_alike", "malformed"} with input as {"evidence": {"alias": "Champion"}}
}

test_other_alphabets_are_refused if {
	not rule.allow with input as {"evidence": {"alias": "сhampion"}}
	codes == {"malformed"} with input as {"evidence": {"alias": "сhampion"}}
}

test_a_number_is_refused if {
	not rule.allow with input as {"evidence": {"alias": 7}}
}

test_missing_alias_is_refused if {
	not rule.allow with input as {"evidence": {}}
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
