# An exception names why, who answers for its end, and a day that is not far off.
package archlab.rules.exception.limited

import rego.v1

actions := {"exception/grant"}

requires := {"evidence.until", "evidence.days", "evidence.owner", "evidence.reason"}

max_days := 30

least_reason := 10

days := input.evidence.days

default allow := false

allow if {
	is_string(input.evidence.until)
	is_number(days)
	days > 0
	days <= max_days
	is_string(input.evidence.owner)
	trim_space(input.evidence.owner) != ""
	is_string(input.evidence.reason)
	count(trim_space(input.evidence.reason)) >= least_reason
}

reasons contains {"code": "in_the_past", "message": message} if {
	is_number(days)
	days <= 0
	message := sprintf("%v has passed on the business clock.", [input.evidence.until])
}

reasons contains {"code": "too_long", "message": message} if {
	is_number(days)
	days > max_days
	message := sprintf("An exception may last %v days on the business clock; %v is further off.", [max_days, input.evidence.until])
}

reasons contains {"code": "no_reason", "message": message} if {
	is_string(input.evidence.reason)
	count(trim_space(input.evidence.reason)) < least_reason
	message := sprintf("Say in at least %v letters why.", [least_reason])
}
