package archlab.rules.supply_chain.no_executable_files_test

import data.archlab.rules.supply_chain.no_executable_files as rule
import rego.v1

good := {"evidence": {"files": [
	{"path": "model.onnx", "kind": "binary", "bytes": 1200},
	{"path": "MLmodel", "kind": "text", "bytes": 300},
]}}

codes := {reason.code | some reason in rule.reasons}

test_onnx_and_text_are_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_a_pickle_by_name_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/files/1", "value": {"path": "model.PKL", "kind": "binary", "bytes": 9}}])
	codes == {"executable"} with input as json.patch(good, [{"op": "add", "path": "/evidence/files/1", "value": {"path": "model.PKL", "kind": "binary", "bytes": 9}}])
}

test_a_pickle_by_content_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/files/0/kind", "value": "pickle"}])
}

test_a_script_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/files/1", "value": {"path": "code/load.py", "kind": "text", "bytes": 9}}])
}

test_no_files_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/files", "value": []}])
}

test_missing_kind_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/files/0/kind"}])
}

test_missing_files_are_refused if {
	not rule.allow with input as {"evidence": {}}
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
