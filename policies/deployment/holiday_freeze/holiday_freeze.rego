# In the busiest days of the year nothing new goes live, for all callers or for some; going back always may.
package archlab.rules.deployment.holiday_freeze

import rego.v1

import data.archlab.rules.promotion.rollback_limited

actions := {"promotion/champion", "deployment/canary"}

# An exception may stand in for this rule, for one model and a time.
waivable := true

requires := {"time", "evidence.version.held_champion"}

first := "12-23"

last := "12-26"

default allow := false

allow if {
	known
	not frozen
}

allow if {
	known
	rollback_limited.nothing_new == true
}

# Callers are taken back from a canary.
allow if {
	known
	fewer
}

fewer if {
	input.action == "deployment/canary"
	is_number(input.evidence.percent)
	is_number(input.evidence.percent_allowed)
	input.evidence.percent < input.evidence.percent_allowed
}

fewer if {
	input.action == "deployment/canary"
	input.evidence.percent == 0
}

known if {
	is_string(input.time)
	count(input.time) >= 10
	is_boolean(input.evidence.version.held_champion)
}

day := substring(input.time, 5, 5) if is_string(input.time)

frozen if {
	day >= first
	day <= last
}

reasons contains {"code": "frozen", "message": message} if {
	known
	frozen
	not rollback_limited.nothing_new
	not fewer
	message := sprintf(
		"From %v to %v nothing new goes live; today is %v on the business clock. A rollback is allowed.",
		[first, last, substring(input.time, 0, 10)],
	)
}
