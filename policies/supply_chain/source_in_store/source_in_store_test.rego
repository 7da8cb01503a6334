package archlab.rules.supply_chain.source_in_store_test

import data.archlab.rules.supply_chain.source_in_store as rule
import rego.v1

good := {"evidence": {"source": "mlflow-artifacts:/1/abc/artifacts/model", "in_store": true}}

codes := {reason.code | some reason in rule.reasons}

test_the_own_store_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_another_place_is_refused if {
	not rule.allow with input as {"evidence": {"source": "s3://bucket/model", "in_store": false}}
	codes == {"elsewhere"} with input as {"evidence": {"source": "s3://bucket/model", "in_store": false}}
}

test_yes_as_text_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/in_store", "value": "true"}])
}

test_missing_source_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/source"}])
}

test_missing_answer_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/in_store"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
