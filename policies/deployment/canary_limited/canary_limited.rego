# How many callers a version may answer before it is champion, and what it needs for that.
package archlab.rules.deployment.canary_limited

import rego.v1

import data.archlab.rules.promotion.approval_is_recent
import data.archlab.rules.promotion.approved_by_another

actions := {"deployment/canary"}

# Never waived: with the approval, or as champion, there is no limit.
waivable := false

requires := {"evidence.percent", "evidence.percent_allowed", "evidence.as_champion.allow"}

# Up to this share nobody else has to agree.
unapproved_percent := 10

# Up to this share an approval is enough; beyond it a version is champion in all but name.
approved_percent := 50

percent := input.evidence.percent

default allow := false

allow if {
	counted
	percent <= unapproved_percent
}

allow if {
	counted
	percent <= approved_percent
	approved
}

allow if {
	counted
	percent <= 100
	input.evidence.as_champion.allow == true
}

allow if fewer

counted if {
	is_number(percent)
	percent >= 0
	is_boolean(input.evidence.as_champion.allow)
}

approved if {
	approved_by_another.allow == true
	approval_is_recent.allow == true
}

fewer if {
	counted
	is_number(input.evidence.percent_allowed)
	percent < input.evidence.percent_allowed
}

reasons contains {"code": "not_approved", "message": message} if {
	counted
	not allow
	percent <= approved_percent
	message := sprintf(
		"More than %v percent of the callers are answered only by what a second person has approved: archlab approve %v %v",
		[unapproved_percent, input.resource.name, input.resource.version],
	)
}

reasons contains {"code": "as_champion", "message": message} if {
	counted
	not allow
	percent > approved_percent
	some reason in input.evidence.as_champion.reasons
	message := sprintf(
		"More than %v percent of the callers need what a champion needs: %v: %v",
		[approved_percent, reason.rule, reason.message],
	)
}
