# A model comes from somebody whom the lab trusts, and is what they signed.
package archlab.rules.supply_chain.signed_by_trusted_key

import rego.v1

actions := {"supply_chain/register", "promotion/champion", "promotion/challenger"}

requires := {"evidence.signature.state"}

signature := input.evidence.signature

default allow := false

allow if {
	signature.state == "valid"
	is_string(signature.key)
	count(signature.key) == 64
}

reasons contains {"code": "unsigned", "message": message} if {
	signature.state == "absent"
	message := "There is no model.sig beside the model. Sign the folder with a key that the lab trusts, then register it."
}

reasons contains {"code": "unknown_key", "message": message} if {
	signature.state == "unknown_key"
	message := sprintf("The model is %v. The lab's trusted keys are in keys/trusted.pem.", [signature.message])
}

reasons contains {"code": "not_what_was_signed", "message": message} if {
	signature.state == "differs"
	message := sprintf("The files are not those that were signed: %v.", [signature.message])
}

reasons contains {"code": "invalid_signature", "message": message} if {
	signature.state in {"invalid", "unreadable"}
	message := sprintf("model.sig proves nothing: %v.", [signature.message])
}
