# A version may ask its callers only for what they know when they ask.
package archlab.rules.promotion.inputs_known_at_prediction

import rego.v1

actions := {"promotion/champion", "promotion/challenger"}

# Fields that the gate has to hand over; without them the rule denies.
requires := {"evidence.version.columns", "evidence.known_at_request"}

# Columns that this version expects its callers to bring.
asked := {column.name | some column in input.evidence.version.columns; column.source == "request"}

# Columns that the callers know at the moment they ask.
known := {name | some name in input.evidence.known_at_request}

# What is asked for and not known. In Rego, `a - b` takes the members of one set out of another.
unknown := asked - asked # GAP: correct this line and take this remark away

default allow := false

allow if count(unknown) == 0

reasons contains {"code": "not_known_at_request", "message": message} if {
	count(unknown) > 0
	message := sprintf("Callers do not know %v when they ask.", [concat(", ", sort(unknown))])
}
