package archlab.rules.promotion.inputs_known_at_prediction_test

import data.archlab.rules.promotion.inputs_known_at_prediction as rule
import rego.v1

good := {"evidence": {
	"known_at_request": ["hour", "distance"],
	"version": {"columns": [
		{"name": "hour", "source": "request"},
		{"name": "temp", "source": "weather"},
	]},
}}

codes := {reason.code | some reason in rule.reasons}

test_known_columns_are_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_a_column_from_after_the_event_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/columns/-", "value": {"name": "dep_delay", "source": "request"}}])
	codes == {"not_known_yet"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/columns/-", "value": {"name": "dep_delay", "source": "request"}}])
}

test_a_looked_up_column_needs_no_caller if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/columns/-", "value": {"name": "late_2h", "source": "origin_ops"}}])
}

test_missing_columns_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/columns"}])
}

test_missing_knowledge_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/known_at_request"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
