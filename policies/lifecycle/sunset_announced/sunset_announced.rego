# Callers learn of an end in time to move.
package archlab.rules.lifecycle.sunset_announced

import rego.v1

actions := {"lifecycle/deprecate"}

requires := {"evidence.sunset", "evidence.notice_days"}

min_days := 7

max_days := 365

notice := input.evidence.notice_days

default allow := false

allow if {
	is_string(input.evidence.sunset)
	is_number(notice)
	notice >= min_days
	notice <= max_days
}

reasons contains {"code": "short_notice", "message": message} if {
	is_number(notice)
	notice < min_days
	message := sprintf(
		"The sunset %v leaves callers less than %v days on the business clock.",
		[input.evidence.sunset, min_days],
	)
}

reasons contains {"code": "too_far", "message": message} if {
	is_number(notice)
	notice > max_days
	message := sprintf("The sunset %v is more than %v days off: nobody will plan by it.", [input.evidence.sunset, max_days])
}
