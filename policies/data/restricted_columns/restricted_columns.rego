# Some feature views are for some teams only: a model of another team may not be served with them.
package archlab.rules.data.restricted_columns

import rego.v1

actions := {"promotion/champion", "promotion/challenger"}

requires := {"evidence.version.columns", "resource.team"}

# What an aircraft did lately, and what is known of it, shows who maintains it how.
teams_by_view := {
	"aircraft_profile": {"maintenance", "operations"},
	"aircraft_state": {"maintenance", "operations", "customer-care"},
}

default allow := false

allow if {
	is_string(input.resource.team)
	input.resource.team != ""
	is_array(input.evidence.version.columns)
	every column in input.evidence.version.columns {
		is_string(column.source)
	}
	count(forbidden) == 0
}

forbidden contains view if {
	some column in input.evidence.version.columns
	view := column.source
	teams := teams_by_view[view]
	not input.resource.team in teams
}

reasons contains {"code": "restricted", "message": message} if {
	some view in forbidden
	message := sprintf(
		"%v belongs to team %v, which may not use the restricted feature view %v.",
		[input.resource.name, input.resource.team, view],
	)
}
