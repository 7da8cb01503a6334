# Ending an exception early is for those who grant them and those who run the platform.
package archlab.rules.exception.revoked_by_keeper

import rego.v1

actions := {"exception/revoke"}

requires := {"subject.user", "subject.roles", "evidence.rule"}

keepers := {"approver", "operator"}

default allow := false

allow if {
	is_string(input.evidence.rule)
	is_keeper
}

is_keeper if {
	some role in input.subject.roles
	role in keepers
}

reasons contains {"code": "not_a_keeper", "message": message} if {
	not is_keeper
	message := sprintf("Only an approver or an operator revokes an exception; %v is neither.", [input.subject.user])
}
