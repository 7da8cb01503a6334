# A figure beats another one only when both were measured on the same data. YOURS: the percent of your seed.
package archlab.rules.promotion.comparable_evidence

import rego.v1

actions := {"promotion/champion"}

percent := 10 # YOURS

version := input.evidence.version

champion := input.evidence.champion

default allow := false

# A rollback goes to a version that was let through by the yardstick of its day.
allow if {
	sound
	version.held_champion == true
}

# The first champion is compared with nobody.
allow if {
	sound
	input.evidence.has_champion == false
}

allow if {
	sound
	input.evidence.has_champion == true
	version.data_digest == champion.data_digest
	version.metrics.holdout_rows * 100 >= champion.metrics.holdout_rows * (100 - percent)
}

# Every field is there and has its type; asked before anything is compared.
sound if {
	is_digest(version.data_digest)
	is_number(version.metrics.holdout_rows)
	is_boolean(version.held_champion)
	champion_sound
}

champion_sound if input.evidence.has_champion == false

champion_sound if {
	input.evidence.has_champion == true
	is_digest(champion.data_digest)
	is_number(champion.metrics.holdout_rows)
}

is_digest(text) if {
	is_string(text)
	regex.match(`^[0-9a-f]{64}$`, text)
}

reasons contains {"code": "not_comparable", "message": message} if {
	not allow
	message := "It was measured on other data than the champion, or on too few rows. Measure both on the same hold-out."
}
