# What a version claims has to be there, and has to be recent on the business clock.
package archlab.rules.promotion.evidence_complete_and_fresh

import rego.v1

import data.archlab.rules.promotion.rollback_limited

actions := {"promotion/champion", "promotion/challenger"}

requires := {
	"evidence.version.metric",
	"evidence.version.value",
	"evidence.version.baseline",
	"evidence.version.data_digest",
	"evidence.version.code_version",
	"evidence.version.columns",
	"evidence.version.evaluated_at",
	"evidence.version.evaluated_age_days",
}

max_age_days := 30

version := input.evidence.version

age_days := version.evaluated_age_days

default allow := false

allow if {
	is_number(version.value)
	is_number(version.baseline)
	is_number(age_days)
	age_days >= 0
	recent
}

recent if age_days <= max_age_days

# A rollback goes to a version that was let through when its evidence was fresh.
recent if rollback_limited.nothing_new == true

reasons contains {"code": "not_a_number", "message": message} if {
	version.value
	not is_number(version.value)
	message := sprintf("The run's %v is %v, which is not a number.", [version.metric, version.value])
}

reasons contains {"code": "stale", "message": message} if {
	is_number(age_days)
	not recent
	message := sprintf(
		"The evaluation of %v is %v days old on the business clock; %v are allowed.",
		[version.evaluated_at, round(age_days), max_age_days],
	)
}

reasons contains {"code": "from_the_future", "message": message} if {
	is_number(age_days)
	age_days < 0
	message := sprintf("The evaluation claims %v, which the business clock has not reached.", [version.evaluated_at])
}
