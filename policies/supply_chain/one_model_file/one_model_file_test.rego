package archlab.rules.supply_chain.one_model_file_test

import data.archlab.rules.supply_chain.one_model_file as rule
import rego.v1

good := {"evidence": {"files": [
	{"path": "model/model.onnx", "kind": "binary", "bytes": 1200},
	{"path": "model/MLmodel", "kind": "text", "bytes": 300},
]}}

codes := {reason.code | some reason in rule.reasons}

test_one_model_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_no_model_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/files/0"}])
	codes == {"no_model"} with input as json.patch(good, [{"op": "remove", "path": "/evidence/files/0"}])
}

test_two_models_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/files/1/path", "value": "other/model.onnx"}])
	codes == {"several_models"} with input as json.patch(good, [{"op": "add", "path": "/evidence/files/1/path", "value": "other/model.onnx"}])
}

test_an_empty_model_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/files/0/bytes", "value": 0}])
	codes == {"size"} with input as json.patch(good, [{"op": "add", "path": "/evidence/files/0/bytes", "value": 0}])
}

test_a_huge_model_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/files/0/bytes", "value": 2000000000}])
}

test_missing_size_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/files/0/bytes"}])
}

test_missing_files_are_refused if {
	not rule.allow with input as {"evidence": {}}
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
