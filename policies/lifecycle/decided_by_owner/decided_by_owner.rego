# A model's end is decided by people of the team that owns it, or by those who run the platform.
package archlab.rules.lifecycle.decided_by_owner

import rego.v1

actions := {"lifecycle/deprecate", "lifecycle/reinstate", "lifecycle/retire"}

requires := {"subject.user", "subject.team", "subject.roles", "resource.team", "evidence.serves"}

default allow := false

allow if {
	is_boolean(input.evidence.serves)
	"operator" in input.subject.roles
}

allow if {
	owns
	not ends_a_service
}

owns if {
	"developer" in input.subject.roles
	is_string(input.subject.team)
	input.subject.team != ""
	input.subject.team == input.resource.team
}

# Callers are answered by it: as with the alias, taking it away is the operators' business.
ends_a_service if {
	input.action == "lifecycle/retire"
	not input.evidence.serves == false
}

reasons contains {"code": "not_an_owner", "message": message} if {
	not owns
	not "operator" in input.subject.roles
	message := sprintf("%v is neither a developer of team %v nor an operator.", [input.subject.user, input.resource.team])
}

reasons contains {"code": "serves", "message": message} if {
	owns
	ends_a_service
	not "operator" in input.subject.roles
	message := sprintf("%v is champion and answers callers; only an operator retires it.", [input.resource.name])
}
