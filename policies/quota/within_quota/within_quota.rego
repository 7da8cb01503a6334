# A change that takes more of something scarce keeps to the team's quota, and to what others leave where borrowing is on.
package archlab.rules.quota.within_quota

import rego.v1

actions := {"quota/change"}

requires := {"resource.team", "evidence.asks"}

units := {"devices": "devices", "memory": "MiB of memory", "budget": "USD in 30 days"}

raisers := {"devices": "an operator", "memory": "an operator", "budget": "finance"}

default allow := false

allow if {
	known
	count(beyond) == 0
}

known if {
	is_array(input.evidence.asks)
	count(input.evidence.asks) > 0
	every ask in input.evidence.asks {
		units[ask.what]
		is_number(ask.used)
		is_number(ask.limit)
		is_number(ask.borrowed)
		ask.borrowed >= 0
	}
}

beyond contains ask if {
	some ask in input.evidence.asks
	ask.used > ask.limit + ask.borrowed
}

reasons contains {"code": ask.what, "message": message} if {
	known
	some ask in beyond
	message := sprintf(
		"Team %v would take %v %v, its quota is %v (%v borrowed). Take back something else, or have it raised: %v can (archlab quota set %v %v N).",
		[input.resource.team, ask.used, units[ask.what], ask.limit, ask.borrowed, raisers[ask.what], input.resource.team, ask.what],
	)
}
