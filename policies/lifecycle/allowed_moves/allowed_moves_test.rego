package archlab.rules.lifecycle.allowed_moves_test

import data.archlab.rules.lifecycle.allowed_moves as rule
import rego.v1

about := {"name": "departure-delay", "version": "2"}

promotion(alias, state) := {
	"action": concat("/", ["promotion", alias]),
	"resource": about,
	"evidence": {"version": {"state": state}},
}

move(verb, state) := {"action": concat("/", ["lifecycle", verb]), "resource": about, "evidence": {"state": state}}

codes := {reason.code | some reason in rule.reasons}

test_the_way_up_is_allowed if {
	rule.allow with input as promotion("challenger", "candidate")
	rule.allow with input as promotion("champion", "challenger")
	rule.allow with input as promotion("champion", "candidate")
	codes == set() with input as promotion("champion", "challenger")
}

test_a_rollback_is_allowed if {
	rule.allow with input as promotion("champion", "former")
}

test_the_way_out_is_allowed if {
	rule.allow with input as move("deprecate", "champion")
	rule.allow with input as move("reinstate", "deprecated")
	rule.allow with input as move("retire", "deprecated")
	rule.allow with input as move("retire", "candidate")
}

test_a_champion_that_nobody_announced_the_end_of_is_refused if {
	not rule.allow with input as move("retire", "champion")
	codes == {"no_such_move", "deprecate_first"} with input as move("retire", "champion")
}

test_what_is_deprecated_goes_no_way_up_and_is_refused if {
	not rule.allow with input as promotion("champion", "deprecated")
	not rule.allow with input as promotion("challenger", "deprecated")
	codes == {"no_such_move"} with input as promotion("champion", "deprecated")
}

test_what_is_retired_goes_nowhere_and_is_refused if {
	not rule.allow with input as promotion("champion", "retired")
	not rule.allow with input as promotion("challenger", "retired")
	not rule.allow with input as move("deprecate", "retired")
	not rule.allow with input as move("reinstate", "retired")
	not rule.allow with input as move("retire", "retired")
}

test_what_is_not_deprecated_is_not_reinstated_and_refused if {
	not rule.allow with input as move("reinstate", "champion")
}

test_a_state_of_ones_own_is_refused if {
	not rule.allow with input as promotion("champion", "Candidate")
	codes == {"unknown_state"} with input as promotion("champion", "Candidate")
}

test_the_state_of_another_action_is_refused if {
	not rule.allow with input as json.patch(move("retire", "candidate"), [{"op": "add", "path": "/action", "value": "promotion/champion"}])
}

test_missing_state_is_refused if {
	not rule.allow with input as json.patch(move("retire", "candidate"), [{"op": "remove", "path": "/evidence/state"}])
	codes == {"unknown_state"} with input as json.patch(move("retire", "candidate"), [{"op": "remove", "path": "/evidence/state"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
