package archlab_test

import data.archlab
import rego.v1

codes := {reason.code | some reason in archlab.decision.reasons}

test_an_unknown_area_is_refused if {
	not archlab.decision.allow with input as {"action": "weather/forecast"}
	codes == {"unknown_action"} with input as {"action": "weather/forecast"}
}

test_no_action_is_refused if {
	not archlab.decision.allow with input as {}
	codes == {"unknown_action"} with input as {}
}
