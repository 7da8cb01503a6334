# A metric from a handful of rows is luck.
package archlab.rules.promotion.enough_holdout

import rego.v1

actions := {"promotion/champion"}

# An exception may stand in for this rule, for one model and a time.
waivable := true

requires := {"evidence.version.metrics.holdout_rows"}

min_rows := 100

rows := input.evidence.version.metrics.holdout_rows

default allow := false

allow if {
	is_number(rows)
	rows >= min_rows
}

reasons contains {"code": "too_few", "message": message} if {
	is_number(rows)
	rows < min_rows
	message := sprintf("It was measured on %v rows that training had not seen; %v are the least.", [rows, min_rows])
}
