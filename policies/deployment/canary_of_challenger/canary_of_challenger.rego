# Callers go to a challenger that would become one today, to nothing else.
package archlab.rules.deployment.canary_of_challenger

import rego.v1

actions := {"deployment/canary"}

# Never waived: what waives the rules of a challenger waives them here too.
waivable := false

requires := {
	"evidence.percent",
	"evidence.percent_allowed",
	"evidence.percent_routed",
	"evidence.has_champion",
	"evidence.version.state",
	"evidence.as_challenger.allow",
}

percent := input.evidence.percent

default allow := false

allow if {
	a_share
	input.evidence.version.state == "challenger"
	input.evidence.has_champion == true
	input.evidence.as_challenger.allow == true
	is_number(input.evidence.percent_routed)
	percent >= input.evidence.percent_routed
}

# Fewer callers than were allowed is always open, once no more are sent there.
allow if fewer

a_share if {
	is_number(percent)
	percent == floor(percent)
	percent >= 0
	percent <= 100
}

fewer if {
	a_share
	is_number(input.evidence.percent_allowed)
	is_number(input.evidence.percent_routed)
	percent < input.evidence.percent_allowed
	percent >= input.evidence.percent_routed
}

# Nothing is asked for, and nothing was.
fewer if {
	a_share
	percent == 0
	input.evidence.percent_allowed == 0
	input.evidence.percent_routed == 0
}

reasons contains {"code": "not_a_share", "message": "A share of the callers is a whole number from 0 to 100."} if {
	input.evidence.percent != null
	not a_share
}

reasons contains {"code": "not_challenger", "message": message} if {
	not fewer
	is_string(input.evidence.version.state)
	input.evidence.version.state != "challenger"
	message := sprintf(
		"%v version %v is %v. Name it challenger first: archlab promote %v %v --alias challenger",
		[
			input.resource.name, input.resource.version, input.evidence.version.state, input.resource.name,
			input.resource.version,
		],
	)
}

reasons contains {"code": "no_champion", "message": "There is no champion that answers the other callers."} if {
	not fewer
	input.evidence.has_champion == false
}

reasons contains {"code": "as_challenger", "message": message} if {
	not fewer
	input.evidence.as_challenger.allow == false
	some reason in input.evidence.as_challenger.reasons
	message := sprintf("It would not become challenger today: %v: %v", [reason.rule, reason.message])
}

reasons contains {"code": "in_traffic", "message": message} if {
	a_share
	is_number(input.evidence.percent_routed)
	percent < input.evidence.percent_routed
	message := sprintf(
		"%v percent of the callers are sent to version %v. Take them back first: archlab set %v canary %v",
		[input.evidence.percent_routed, input.resource.version, input.resource.name, percent],
	)
}
