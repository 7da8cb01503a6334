# Every column that is to be looked up comes from a feature view that this platform keeps online.
package archlab.rules.deployment.features_served

import rego.v1

actions := {"promotion/champion", "promotion/challenger"}

requires := {"evidence.version.columns", "evidence.served_views"}

default allow := false

allow if {
	is_array(input.evidence.version.columns)
	count(input.evidence.version.columns) > 0
	is_array(input.evidence.served_views)
	count(unserved) == 0
	every column in input.evidence.version.columns {
		is_string(column.source)
	}
}

unserved contains column.source if {
	is_array(input.evidence.served_views)
	some column in input.evidence.version.columns
	column.source != "request"
	not column.source in input.evidence.served_views
}

reasons contains {"code": "not_served", "message": message} if {
	some view in unserved
	message := sprintf("Columns come from %v, which is not among the feature views that this platform keeps online.", [view])
}

reasons contains {"code": "no_columns", "message": "The version lists no columns, so nothing could be put together for it."} if {
	input.evidence.version.columns == []
}
