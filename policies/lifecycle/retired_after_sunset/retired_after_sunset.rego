# What was promised to callers is kept: until the sunset they are answered.
package archlab.rules.lifecycle.retired_after_sunset

import rego.v1

actions := {"lifecycle/retire"}

requires := {"evidence.state", "evidence.serves", "evidence.reason"}

state := input.evidence.state

default allow := false

allow if {
	is_string(state)
	state != "deprecated"
	input.evidence.serves == false
	explained
}

allow if {
	state == "deprecated"
	is_number(input.evidence.sunset_age_days)
	input.evidence.sunset_age_days >= 0
	explained
}

explained if {
	is_string(input.evidence.reason)
	trim_space(input.evidence.reason) != ""
}

reasons contains {"code": "before_sunset", "message": message} if {
	state == "deprecated"
	is_number(input.evidence.sunset_age_days)
	input.evidence.sunset_age_days < 0
	message := sprintf(
		"%v is promised to its callers for %v more days on the business clock.",
		[input.resource.name, ceil(0 - input.evidence.sunset_age_days)],
	)
}

reasons contains {"code": "no_sunset", "message": "It is deprecated, but nobody knows its sunset."} if {
	state == "deprecated"
	not dated
}

dated if is_number(input.evidence.sunset_age_days)

reasons contains {"code": "no_reason", "message": "Say why."} if {
	input.evidence.reason
	not explained
}
