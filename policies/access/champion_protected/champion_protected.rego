# A champion is what callers are served: taking it away is the operators' business.
package archlab.rules.access.champion_protected

import rego.v1

actions := {"access/remove_champion"}

requires := {"subject.user", "subject.roles", "resource.name", "evidence.operation"}

default allow := false

allow if "operator" in input.subject.roles

reasons contains {"code": "champion", "message": message} if {
	not allow
	message := sprintf(
		"%v would take away the champion of %v; only an operator may. Promote another version first.",
		[input.evidence.operation, input.resource.name],
	)
}
