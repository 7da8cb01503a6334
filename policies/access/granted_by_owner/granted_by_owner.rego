# Who may lend a team's model or feature view to another team, or take it back.
package archlab.rules.access.granted_by_owner

import rego.v1

actions := {"access/grant", "access/revoke"}

requires := {
	"subject.user", "subject.team", "subject.roles", "resource.kind", "resource.name", "resource.team",
	"evidence.team", "evidence.may",
}

subject := input.subject

default allow := false

allow if {
	decides
	is_string(input.evidence.team)
	input.evidence.team != ""
	input.evidence.team != input.resource.team
	input.evidence.may in {"call", "read"}
}

# Somebody who approves for the team that owns it, or an operator.
decides if {
	"approver" in subject.roles
	is_string(subject.team)
	subject.team != ""
	subject.team == input.resource.team
}

decides if "operator" in subject.roles

reasons contains {"code": "not_the_owner", "message": message} if {
	not decides
	message := sprintf(
		"%v %v belongs to team %v; an approver of that team or an operator decides, not %v of team %v.",
		[input.resource.kind, input.resource.name, input.resource.team, subject.user, subject.team],
	)
}

reasons contains {"code": "own_team", "message": message} if {
	input.evidence.team == input.resource.team
	message := sprintf("%v %v is team %v's own: there is nothing to grant.", [
		input.resource.kind,
		input.resource.name,
		input.resource.team,
	])
}
