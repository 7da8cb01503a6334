# A registered model's name is plain, and can't be taken for another model's.
package archlab.rules.supply_chain.distinct_name

import rego.v1

actions := {"supply_chain/name"}

requires := {"evidence.name", "evidence.others"}

name := input.evidence.name

default allow := false

allow if {
	well_formed
	is_array(input.evidence.others)
	count(alike) == 0
}

well_formed if {
	is_string(name)
	regex.match(`^[A-Za-z][A-Za-z0-9._-]{0,127}$`, name)
}

skeleton(text) := replace(replace(replace(replace(replace(replace(replace(lower(text), "0", "o"), "1", "l"), "3", "e"), "5", "s"), "_", ""), "-", ""), ".", "") if is_string(text)

alike contains other if {
	some other in input.evidence.others
	other != name
	skeleton(other) == skeleton(name)
}

reasons contains {"code": "malformed", "message": message} if {
	is_string(name)
	not well_formed
	message := sprintf("%v can't be a model's name: letters, digits, dot, _ and - after a letter, 128 at most.", [name])
}

reasons contains {"code": "look_alike", "message": message} if {
	some other in alike
	message := sprintf("The name %v looks like %v, which is registered already.", [name, other])
}
