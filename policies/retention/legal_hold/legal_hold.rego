# What is on hold is not deleted, and only those who answer for it put on or lift a hold.
package archlab.rules.retention.legal_hold

import rego.v1

actions := {"retention/delete", "access/tag"}

requires := {"subject.user", "subject.roles"}

hold := "archlab.hold"

keepers := {"approver", "operator"}

default allow := false

allow if {
	input.action == "retention/delete"
	is_array(input.evidence.versions)
	every version in input.evidence.versions {
		is_string(version.hold)
	}
	count(held) == 0
}

allow if {
	input.action == "access/tag"
	is_string(input.evidence.key)
	not is_hold
}

allow if {
	input.action == "access/tag"
	is_hold
	is_keeper
}

is_hold if {
	is_string(input.evidence.key)
	lower(input.evidence.key) == hold
}

is_keeper if {
	some role in input.subject.roles
	role in keepers
}

held contains version if {
	some version in input.evidence.versions
	version.hold != ""
}

reasons contains {"code": "on_hold", "message": message} if {
	input.action == "retention/delete"
	some version in held
	message := sprintf("Version %v is on hold (%v) and can't be deleted.", [version.version, version.hold])
}

reasons contains {"code": "not_a_keeper", "message": message} if {
	input.action == "access/tag"
	is_hold
	not is_keeper
	message := sprintf("Only an approver or an operator sets or lifts %v; %v is neither.", [hold, input.subject.user])
}
