# A run, its experiment and its files stay as long as a registered version comes from them.
package archlab.rules.retention.registered_sources

import rego.v1

actions := {"retention/remove_source"}

requires := {"subject.user", "resource.name", "evidence.registered"}

default allow := false

allow if {
	is_array(input.evidence.registered)
	count(input.evidence.registered) == 0
}

reasons contains {"code": "registered", "message": message} if {
	some version in input.evidence.registered
	message := sprintf(
		"%v is where %v version %v comes from. Delete that version first, if the rules let it go.",
		[input.resource.name, version.name, version.version],
	)
}
