# Every column that the request has to bring is one that callers can know when they ask.
package archlab.rules.promotion.inputs_known_at_prediction

import rego.v1

requires := {"evidence.version.columns", "evidence.known_at_request"}

default allow := false

allow if {
	is_array(input.evidence.known_at_request)
	count(input.evidence.version.columns) > 0
	count(unknown) == 0
}

unknown contains column.name if {
	some column in input.evidence.version.columns
	column.source == "request"
	not column.name in input.evidence.known_at_request
}

reasons contains {"code": "not_known_yet", "message": message} if {
	count(unknown) > 0
	message := sprintf("Nobody knows %s when the prediction is asked for.", [concat(", ", sort(unknown))])
}
