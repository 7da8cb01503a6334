# What is retired is kept for a while, for whoever asks what answered then, and no longer.
package archlab.rules.retention.retired_limited

import rego.v1

actions := {"retention/keep"}

requires := {"evidence.state", "evidence.hold"}

keep_days := 30

age_days := input.evidence.retired_age_days

default allow := false

allow if {
	is_string(input.evidence.state)
	input.evidence.state != "retired"
	is_string(input.evidence.hold)
}

allow if {
	is_string(input.evidence.hold)
	input.evidence.hold != ""
}

allow if {
	input.evidence.state == "retired"
	is_string(input.evidence.hold)
	is_number(age_days)
	age_days >= 0
	age_days < keep_days
}

reasons contains {"code": "over", "message": message} if {
	input.evidence.state == "retired"
	input.evidence.hold == ""
	is_number(age_days)
	age_days >= keep_days
	message := sprintf(
		"%v %v was retired %v days ago on the business clock; %v are the most, so it has to be deleted, file included.",
		[input.resource.name, input.resource.version, floor(age_days), keep_days],
	)
}

reasons contains {"code": "unknown_age", "message": "It is retired, but nobody knows since when."} if {
	input.evidence.state == "retired"
	input.evidence.hold == ""
	not dated
}

dated if is_number(age_days)
