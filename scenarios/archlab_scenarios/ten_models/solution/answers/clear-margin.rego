# One answer to clear-margin; write your seed's percent and rows into the two lines marked YOURS.
package archlab.rules.promotion.clear_margin

import rego.v1

actions := {"promotion/champion"}

percent := 2 # YOURS

rows := 8000 # YOURS

version := input.evidence.version

default allow := false

# A rollback needs neither rows nor margin.
allow if {
	sound
	version.held_champion == true
}

# The first champion has nothing to be better than.
allow if {
	sound
	known_metric
	version.metrics.holdout_rows >= rows
	input.evidence.has_champion == false
}

allow if {
	sound
	version.metrics.holdout_rows >= rows
	input.evidence.has_champion == true
	clearly_better
}

# Every field is there and has its type; asked before anything is compared.
sound if {
	is_string(version.metric)
	is_number(version.value)
	is_number(version.metrics.holdout_rows)
	is_boolean(version.held_champion)
	champion_sound
}

champion_sound if input.evidence.has_champion == false

champion_sound if {
	input.evidence.has_champion == true
	is_number(input.evidence.champion.value)
}

higher := {"auc", "explained_variance"}

lower := {"mae", "pinball"}

known_metric if version.metric in (higher | lower)

clearly_better if {
	version.metric in higher
	version.value >= (input.evidence.champion.value * (100 + percent)) / 100
}

clearly_better if {
	version.metric in lower
	version.value <= (input.evidence.champion.value * (100 - percent)) / 100
}
