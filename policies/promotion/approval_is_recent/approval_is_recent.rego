# An approval is about a moment: it lapses.
package archlab.rules.promotion.approval_is_recent

import rego.v1

import data.archlab.rules.promotion.rollback_limited

actions := {"promotion/champion"}

# Never waived: a new approval is always to be had.
waivable := false

requires := {"evidence.version.approved_age_days"}

max_age_days := 30

version := input.evidence.version

age_days := version.approved_age_days

default allow := false

allow if {
	is_number(age_days)
	age_days >= 0
	recent
}

recent if age_days <= max_age_days

# A rollback goes to a version whose approval was recent when it was let through.
recent if rollback_limited.nothing_new == true

reasons contains {"code": "lapsed", "message": message} if {
	is_number(age_days)
	not recent
	message := sprintf(
		"The approval of version %v is %v days old on the business clock; it lapses after %v. Have it approved again.",
		[input.resource.version, round(age_days), max_age_days],
	)
}

reasons contains {"code": "from_the_future", "message": message} if {
	is_number(age_days)
	age_days < 0
	message := sprintf("The approval of version %v is dated after the business clock's now.", [input.resource.version])
}
