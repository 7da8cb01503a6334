# A version's files lie in the platform's own artifact store, where their digest can be taken and kept.
package archlab.rules.supply_chain.source_in_store

import rego.v1

actions := {"supply_chain/register"}

requires := {"evidence.source", "evidence.in_store"}

default allow := false

allow if {
	is_string(input.evidence.source)
	input.evidence.in_store == true
}

reasons contains {"code": "elsewhere", "message": message} if {
	input.evidence.in_store == false
	message := sprintf(
		"%v is not in the platform's artifact store. Log the model to the registry's run first, then register it.",
		[input.evidence.source],
	)
}
