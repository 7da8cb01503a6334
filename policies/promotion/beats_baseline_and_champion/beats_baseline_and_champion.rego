# A champion has to be better than the simple rule it replaces, and better than the champion it replaces.
package archlab.rules.promotion.beats_baseline_and_champion

import rego.v1

import data.archlab.rules.promotion.rollback_limited

actions := {"promotion/champion"}

# An exception may stand in for this rule, for one model and a time.
waivable := true

requires := {
	"evidence.version.metric",
	"evidence.version.value",
	"evidence.version.baseline",
	"evidence.has_champion",
}

higher_is_better := {"auc", "accuracy", "average_precision", "explained_variance", "f1", "r2"}

lower_is_better := {"brier", "log_loss", "mae", "pinball", "rmse"}

version := input.evidence.version

default allow := false

allow if {
	beats_baseline
	beats_champion
}

beats_baseline if better(version.metric, version.value, version.baseline)

beats_champion if input.evidence.has_champion == false

beats_champion if better(version.metric, version.value, input.evidence.champion.value)

# A rollback need not beat what it replaces.
beats_champion if rollback_limited.nothing_new == true

better(metric, ours, theirs) if {
	metric in higher_is_better
	is_number(ours)
	is_number(theirs)
	ours > theirs
}

better(metric, ours, theirs) if {
	metric in lower_is_better
	is_number(ours)
	is_number(theirs)
	ours < theirs
}

known_metric if version.metric in (higher_is_better | lower_is_better)

reasons contains {"code": "unknown_metric", "message": message} if {
	is_string(version.metric)
	not known_metric
	message := sprintf("Nobody said whether more or less of %v is better.", [version.metric])
}

reasons contains {"code": "below_baseline", "message": message} if {
	known_metric
	not beats_baseline
	message := sprintf("%v %v does not beat the baseline, %v.", [version.metric, version.value, version.baseline])
}

reasons contains {"code": "below_champion", "message": message} if {
	known_metric
	not beats_champion
	champion := input.evidence.champion
	message := sprintf(
		"%v %v does not beat version %v, the champion, with %v.",
		[version.metric, version.value, champion.version, champion.value],
	)
}

reasons contains {"code": "champion_not_comparable", "message": message} if {
	input.evidence.has_champion
	not input.evidence.champion.value
	message := sprintf("The champion has no metric %v to compare with.", [version.metric])
}
