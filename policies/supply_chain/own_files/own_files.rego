# A version comes from the files and the run of the team that owns the model.
package archlab.rules.supply_chain.own_files

import rego.v1

actions := {"supply_chain/register"}

requires := {"subject.roles", "resource.name", "resource.team", "evidence.source_teams"}

default allow := false

allow if {
	is_array(input.evidence.source_teams)
	is_string(input.resource.team)
	count(others) == 0
}

# Who may write for every team may also register for one what another made.
allow if {
	some role in input.subject.roles
	role in {"operator", "trainer"}
}

others contains team if {
	some team in input.evidence.source_teams
	team != input.resource.team
}

reasons contains {"code": "other_team", "message": message} if {
	not allow
	some team in others
	message := sprintf(
		"%v belongs to team %v; the files or the run that the version comes from belong to team %v.",
		[input.resource.name, input.resource.team, team],
	)
}
