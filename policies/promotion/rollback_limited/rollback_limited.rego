# What counts as a rollback, in one place: the rules that let one pass ask here.
package archlab.rules.promotion.rollback_limited

import rego.v1

actions := {"promotion/champion"}

# Never waived: it forgives what a rollback is forgiven, and for how long.
waivable := false

requires := {
	"evidence.version.held_champion",
	"evidence.version.serves",
	"evidence.version.withdrawn",
}

# As long as a replaced champion is kept, see retention/former_champions.
max_days := 30

history := input.evidence.version

replaced_days := history.replaced_age_days

default allow := false

allow if {
	history.held_champion == false
	is_boolean(history.serves)
	is_boolean(history.withdrawn)
}

allow if {
	known
	history.serves == true
}

allow if {
	known
	history.serves == false
	is_number(replaced_days)
	replaced_days >= 0
}

dated if is_number(replaced_days)

known if {
	history.held_champion == true
	is_boolean(history.serves)
	is_boolean(history.withdrawn)
}

# Back to a champion of the last days that nobody has withdrawn since.
is_rollback if {
	known
	history.serves == false
	history.withdrawn == false
	is_number(replaced_days)
	replaced_days >= 0
	replaced_days <= max_days
}

# Rules about what is new let it pass: a rollback, and the champion being set once more.
nothing_new if is_rollback

nothing_new if {
	known
	history.serves == true
}

reasons contains {"code": "unknown_end", "message": message} if {
	known
	history.serves == false
	not dated
	message := sprintf("Version %v was champion; nobody knows since when it is not.", [input.resource.version])
}

reasons contains {"code": "from_the_future", "message": message} if {
	is_number(replaced_days)
	replaced_days < 0
	message := sprintf("Version %v was replaced after the business clock's now.", [input.resource.version])
}
