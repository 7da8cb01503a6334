# `champion` and `challenger` decide who answers callers; nothing that looks like them may be an alias.
package archlab.rules.access.reserved_alias

import rego.v1

actions := {"access/alias"}

requires := {"evidence.alias"}

serving := {"champion", "challenger"}

alias := input.evidence.alias

default allow := false

allow if alias in serving

allow if {
	well_formed
	not skeleton in serving
}

well_formed if {
	is_string(alias)
	regex.match(`^[a-z][a-z0-9_-]{0,62}$`, alias)
}

# What is left when look-alike characters and separators are taken for what they look like.
skeleton := replace(replace(replace(replace(replace(replace(lower(alias), "0", "o"), "1", "l"), "3", "e"), "4", "a"), "_", ""), "-", "") if is_string(alias)

reasons contains {"code": "malformed", "message": message} if {
	is_string(alias)
	not alias in serving
	not well_formed
	message := sprintf("%v can't be an alias here: lower-case letters, digits, _ and - after a letter.", [alias])
}

reasons contains {"code": "look_alike", "message": message} if {
	not alias in serving
	skeleton in serving
	message := sprintf("The alias %v looks like %v, which decides who answers callers.", [alias, skeleton])
}
