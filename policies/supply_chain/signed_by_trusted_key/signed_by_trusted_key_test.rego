package archlab.rules.supply_chain.signed_by_trusted_key_test

import data.archlab.rules.supply_chain.signed_by_trusted_key as rule
import rego.v1

key := "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

good := {"evidence": {"signature": {"state": "valid", "key": key}}}

codes := {reason.code | some reason in rule.reasons}

test_a_trusted_signature_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_an_unsigned_model_is_refused if {
	not rule.allow with input as {"evidence": {"signature": {"state": "absent", "message": "there is no model.sig"}}}
	codes == {"unsigned"} with input as {"evidence": {"signature": {"state": "absent", "message": "there is no model.sig"}}}
}

test_an_unknown_key_is_refused if {
	not rule.allow with input as {"evidence": {"signature": {"state": "unknown_key", "key": key, "message": "signed with key aaaa"}}}
	codes == {"unknown_key"} with input as {"evidence": {"signature": {"state": "unknown_key", "key": key, "message": "signed with key aaaa"}}}
}

test_a_changed_file_is_refused if {
	not rule.allow with input as {"evidence": {"signature": {"state": "differs", "key": key, "message": "model.onnx is bbbb now"}}}
	codes == {"not_what_was_signed"} with input as {"evidence": {"signature": {"state": "differs", "key": key, "message": "model.onnx is bbbb now"}}}
}

test_a_forged_signature_is_refused if {
	not rule.allow with input as {"evidence": {"signature": {"state": "invalid", "key": key, "message": "key aaaa did not sign this"}}}
	codes == {"invalid_signature"} with input as {"evidence": {"signature": {"state": "unreadable", "message": "not a signature"}}}
}

test_a_state_that_nobody_knows_is_refused if {
	not rule.allow with input as {"evidence": {"signature": {"state": "Valid", "key": key}}}
}

test_a_missing_key_is_refused if {
	not rule.allow with input as {"evidence": {"signature": {"state": "valid"}}}
}

test_a_missing_signature_is_refused if {
	not rule.allow with input as {"evidence": {}}
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
