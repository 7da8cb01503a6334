# Tags that say who wrote, who approved and what was registered can't be written by whoever likes to.
package archlab.rules.access.protected_tags

import rego.v1

actions := {"access/tag"}

requires := {"subject.user", "subject.roles", "evidence.key", "evidence.operation"}

# Written by the gate alone.
server_side := {
	"archlab.approved_at",
	"archlab.approved_evidence",
	"archlab.author",
	"archlab.bom_sha256",
	"archlab.owner_team",
	"archlab.promoted_at",
	"archlab.replaced_at",
	"archlab.sha256",
}

approval := "archlab.approved_by"

# Tags that are decisions of their own (exception/grant, lifecycle/deprecate, lifecycle/retire, deployment/canary), never
# part of another change.
decisive if {
	is_string(key)
	startswith(lower(key), "archlab.exception.")
}

decisive if {
	is_string(key)
	lower(key) in {"archlab.sunset", "archlab.retired", "archlab.canary"}
}

key := input.evidence.key

default allow := false

allow if {
	is_string(key)
	not key in server_side
	not decisive
	key != approval
}

allow if {
	key == approval
	"approver" in input.subject.roles
	in_own_name
	input.evidence.author
	input.evidence.author != input.subject.user
}

in_own_name if {
	input.evidence.operation == "set"
	input.evidence.value == input.subject.user
}

# An approver may withdraw an approval.
in_own_name if input.evidence.operation == "delete"

reasons contains {"code": "server_side", "message": message} if {
	key in server_side
	message := sprintf("The tag %v is written by the registry's gate, by nobody else.", [key])
}

reasons contains {"code": "by_itself", "message": message} if {
	is_string(key)
	decisive
	message := sprintf("The tag %v is a decision of its own: set it by itself, on a model or version that is there.", [key])
}

reasons contains {"code": "not_an_approver", "message": message} if {
	key == approval
	not "approver" in input.subject.roles
	message := sprintf("Only the role approver sets %v; %v does not have it.", [key, input.subject.user])
}

reasons contains {"code": "another_name", "message": message} if {
	key == approval
	not in_own_name
	message := sprintf("An approval is given in one's own name: %v can't approve as %v.", [input.subject.user, input.evidence.value])
}

reasons contains {"code": "own_version", "message": message} if {
	key == approval
	input.evidence.author == input.subject.user
	message := sprintf("%v wrote this version and can't approve it.", [input.subject.user])
}
