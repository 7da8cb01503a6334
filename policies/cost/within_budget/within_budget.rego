# Who is over budget brings what runs now within it first, before something new goes live.
package archlab.rules.cost.within_budget

import rego.v1

import data.archlab.rules.promotion.rollback_limited

actions := {"promotion/champion"}

requires := {
	"evidence.cost.team",
	"evidence.cost.planned_nanousd_per_30_days",
	"evidence.cost.spent_nanousd_last_30_days",
	"evidence.version.held_champion",
}

# An exception may stand in for this rule, for one model and a time.
waivable := true

nano := 1000000000

# US dollars for 30 days: replicas, devices and batch runs of all of a team's models.
default_budget_usd := 400

budget_usd_by_team := {"operations": 500}

cost := input.evidence.cost

planned := cost.planned_nanousd_per_30_days

spent := cost.spent_nanousd_last_30_days

default budget_usd := 0

budget_usd := object.get(budget_usd_by_team, cost.team, default_budget_usd) if is_string(cost.team)

default allow := false

allow if {
	known
	within
}

# A rollback may not wait for money.
allow if {
	known
	rollback_limited.nothing_new == true
}

known if {
	is_string(cost.team)
	cost.team != ""
	is_number(planned)
	is_number(spent)
	planned >= 0
	spent >= 0
	is_boolean(input.evidence.version.held_champion)
}

within if {
	planned <= budget_usd * nano
	spent <= budget_usd * nano
}

reasons contains {"code": "planned", "message": message} if {
	known
	not rollback_limited.nothing_new
	planned > budget_usd * nano
	message := sprintf(
		"What team %v reserves costs %v USD in 30 days; its budget is %v. Take replicas or devices back, or move a model to batch.",
		[cost.team, round(planned / nano), budget_usd],
	)
}

reasons contains {"code": "spent", "message": message} if {
	known
	not rollback_limited.nothing_new
	spent > budget_usd * nano
	message := sprintf(
		"Team %v has spent %v USD in the last 30 days of the business clock; its budget is %v.",
		[cost.team, round(spent / nano), budget_usd],
	)
}
