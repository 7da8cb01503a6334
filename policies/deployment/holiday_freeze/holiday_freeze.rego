# In the busiest days of the year nothing new goes live; going back always may.
package archlab.rules.deployment.holiday_freeze

import rego.v1

actions := {"promotion/champion"}

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
	input.evidence.version.held_champion == true
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
	input.evidence.version.held_champion == false
	message := sprintf(
		"From %v to %v no new champion goes live; today is %v on the business clock. A rollback is allowed.",
		[first, last, substring(input.time, 0, 10)],
	)
}
