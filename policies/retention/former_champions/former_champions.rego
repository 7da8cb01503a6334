# Whoever was champion stays for a while after being replaced: it is what a rollback goes to.
package archlab.rules.retention.former_champions

import rego.v1

actions := {"retention/delete"}

requires := {"evidence.versions"}

keep_days := 30

versions := input.evidence.versions

default allow := false

allow if {
	is_array(versions)
	every version in versions {
		is_boolean(version.held_champion)
	}
	count(needed) == 0
}

needed contains version.version if {
	some version in versions
	version.held_champion == true
	not long_gone(version)
}

long_gone(version) if {
	is_number(version.replaced_age_days)
	version.replaced_age_days >= keep_days
}

reasons contains {"code": "rollback", "message": message} if {
	some version in needed
	message := sprintf(
		"Version %v was champion and may be needed for a rollback: it is kept until %v days after it was replaced.",
		[version, keep_days],
	)
}
