# Who may change the registry and the runs behind it.
package archlab.rules.access.registry_write

import rego.v1

actions := {"access/write"}

requires := {"subject.user", "subject.team", "subject.roles", "resource.kind", "resource.name", "resource.team"}

subject := input.subject

default allow := false

allow if "operator" in subject.roles

# The pipelines' service account trains for every team.
allow if "trainer" in subject.roles

allow if {
	"developer" in subject.roles
	subject.team != ""
	subject.team == input.resource.team
}

reasons contains {"code": "role", "message": message} if {
	not may_write_something
	message := sprintf("%v may read but not write; writing needs the role developer, trainer or operator.", [subject.user])
}

reasons contains {"code": "other_team", "message": message} if {
	"developer" in subject.roles
	not allow
	message := sprintf(
		"%v %v belongs to team %v; %v is in team %v.",
		[input.resource.kind, input.resource.name, input.resource.team, subject.user, subject.team],
	)
}

may_write_something if {
	some role in subject.roles
	role in {"developer", "trainer", "operator"}
}
