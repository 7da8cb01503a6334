# Four eyes: someone other than the author has approved exactly what is to be promoted.
package archlab.rules.promotion.approved_by_another

import rego.v1

actions := {"promotion/champion"}

# Four eyes are never waived: without them nobody could say who wanted a champion.
waivable := false

requires := {"evidence.version.author"}

version := input.evidence.version

default allow := false

allow if {
	is_string(version.author)
	is_string(version.approved_by)
	version.author != ""
	version.approved_by != ""
	version.approved_by != version.author
	version.changed_since_approval == false
}

reasons contains {"code": "not_approved", "message": message} if {
	not version.approved_by
	message := sprintf("Nobody has approved version %v; an approver other than its author has to.", [input.resource.version])
}

reasons contains {"code": "approved_by_author", "message": message} if {
	version.approved_by == version.author
	message := sprintf("%v wrote version %v and can't approve it.", [version.author, input.resource.version])
}

reasons contains {"code": "changed_after_approval", "message": message} if {
	version.approved_by
	version.changed_since_approval == true
	message := sprintf(
		"Metrics, tags or file of version %v changed after %v approved it; approve it again.",
		[input.resource.version, version.approved_by],
	)
}
