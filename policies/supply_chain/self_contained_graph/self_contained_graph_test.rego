package archlab.rules.supply_chain.self_contained_graph_test

import data.archlab.rules.supply_chain.self_contained_graph as rule
import rego.v1

good := {"evidence": {"graph": {
	"readable": true,
	"domains": ["ai.onnx", "ai.onnx.ml"],
	"outside": [],
	"oversized": [],
	"nodes": 3,
}}}

codes := {reason.code | some reason in rule.reasons}

test_a_plain_graph_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_operators_from_elsewhere_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/graph/domains", "value": ["ai.onnx", "com.example"]}])
	codes == {"foreign_operators"} with input as json.patch(good, [{"op": "add", "path": "/evidence/graph/domains", "value": ["ai.onnx", "com.example"]}])
}

test_tensors_in_other_files_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/graph/outside", "value": [{"tensor": "w", "location": "w.bin", "escapes": false}]}])
	codes == {"external_data"} with input as json.patch(good, [{"op": "add", "path": "/evidence/graph/outside", "value": [{"tensor": "w", "location": "w.bin", "escapes": false}]}])
}

test_paths_out_of_the_folder_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/graph/outside", "value": [{"tensor": "w", "location": "../../keys", "escapes": true}]}])
	codes == {"path_traversal"} with input as json.patch(good, [{"op": "add", "path": "/evidence/graph/outside", "value": [{"tensor": "w", "location": "../../keys", "escapes": true}]}])
}

test_a_tensor_without_its_bytes_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/graph/oversized", "value": [{"tensor": "w", "elements": 1000000, "bytes": 4}]}])
	codes == {"oversized"} with input as json.patch(good, [{"op": "add", "path": "/evidence/graph/oversized", "value": [{"tensor": "w", "elements": 1000000, "bytes": 4}]}])
}

test_what_can_not_be_read_is_refused if {
	not rule.allow with input as {"evidence": {"graph": {"readable": false, "message": "wire type 6 at byte 0"}}}
	codes == {"unreadable"} with input as {"evidence": {"graph": {"readable": false, "message": "wire type 6 at byte 0"}}}
}

test_missing_domains_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/graph/domains"}])
}

test_a_missing_graph_is_refused if {
	not rule.allow with input as {"evidence": {}}
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
