# Some feature views are for some teams only: a model of another team may not be served with them.
package archlab.rules.data.restricted_columns

import rego.v1

actions := {"promotion/champion", "promotion/challenger"}

requires := {"evidence.version.columns", "resource.team"}

# What an aircraft did lately, and what is known of it, shows who maintains it how. By view and team, the columns that the
# team may not have; a team that is not named has none. The lab's scenario says which; this is for one that does not.
unless_told := {
	"aircraft_profile": {"maintenance": [], "operations": []},
	"aircraft_state": {"maintenance": [], "operations": [], "customer-care": []},
}

restricted := object.get(input.evidence, "restricted_views", unless_told)

default allow := false

allow if {
	is_string(input.resource.team)
	input.resource.team != ""
	is_object(restricted)
	is_array(input.evidence.version.columns)
	every column in input.evidence.version.columns {
		is_string(column.source)
	}
	count(forbidden) == 0
	count(left_out) == 0
}

forbidden contains view if {
	some column in input.evidence.version.columns
	view := column.source
	teams := restricted[view]
	not is_granted(teams)
}

is_granted(teams) if is_array(teams[input.resource.team])

# Columns that the team's grant leaves out.
left_out contains column if {
	some column in input.evidence.version.columns
	column.name in restricted[column.source][input.resource.team]
}

reasons contains {"code": "restricted", "message": message} if {
	some view in forbidden
	message := sprintf(
		"%v belongs to team %v, which may not use the restricted feature view %v.",
		[input.resource.name, input.resource.team, view],
	)
}

reasons contains {"code": "left_out", "message": message} if {
	some column in left_out
	message := sprintf(
		"%v belongs to team %v, whose grant of the feature view %v leaves out its column %v.",
		[input.resource.name, input.resource.team, column.source, column.name],
	)
}
