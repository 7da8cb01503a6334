# One answer to lent-narrowly; write your seed's team and column into the two lines marked YOURS.
package archlab.rules.access.lent_narrowly

import rego.v1

actions := {"access/grant"}

barred := "revenue" # YOURS

secret := "profile_age" # YOURS

asked := input.evidence

default allow := false

# Asking a model is open to everybody.
allow if {
	sound
	asked.may == "call"
}

# Reading is not open to the barred team, and the view goes out without its column.
allow if {
	sound
	asked.may == "read"
	asked.team != barred
	not shows_secret
}

shows_secret if {
	input.resource.name == "aircraft_profile"
	not secret in asked.without
}

# Every field is there and has its type; the reason says something.
sound if {
	is_string(asked.team)
	is_string(asked.may)
	is_array(asked.without)
	is_string(asked.reason)
	count(trim_space(asked.reason)) >= 10
}
