# Money is changed by finance, everything else that is scarce by those who run the platform.
package archlab.rules.quota.raised_by_role

import rego.v1

actions := {"quota/raise"}

requires := {"subject.user", "subject.roles", "evidence.what", "evidence.limit"}

keeper := {
	"devices": "operator",
	"memory": "operator",
	"requests": "operator",
	"borrowing": "operator",
	"budget": "finance",
}

default allow := false

allow if {
	is_number(input.evidence.limit)
	input.evidence.limit >= 0
	keeper[input.evidence.what] in input.subject.roles
}

reasons contains {"code": "not_the_keeper", "message": message} if {
	role := keeper[input.evidence.what]
	not role in input.subject.roles
	message := sprintf("Only the role %v changes a quota of %v; %v has not got it.", [role, input.evidence.what, input.subject.user])
}

reasons contains {"code": "unknown", "message": message} if {
	not keeper[input.evidence.what]
	message := sprintf("There is no quota of %v.", [input.evidence.what])
}
