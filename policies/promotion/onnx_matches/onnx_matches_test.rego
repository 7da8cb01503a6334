package archlab.rules.promotion.onnx_matches_test

import data.archlab.rules.promotion.onnx_matches as rule
import rego.v1

digest := "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

good := {"evidence": {"version": {"onnx": {
	"sha256": digest,
	"registered_sha256": digest,
	"parity_max_abs_diff": 0.0000002,
}}}}

codes := {reason.code | some reason in rule.reasons}

test_same_file_and_parity_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_the_limit_itself_is_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/onnx/parity_max_abs_diff", "value": 0.001}])
}

test_another_file_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/onnx/sha256", "value": "bbbb"}])
	codes == {"file_differs"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/onnx/sha256", "value": "bbbb"}])
}

test_no_parity_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/onnx/parity_max_abs_diff", "value": 0.0011}])
	codes == {"no_parity"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/onnx/parity_max_abs_diff", "value": 0.0011}])
}

test_missing_file_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/onnx/sha256"}])
}

test_never_registered_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/onnx/registered_sha256"}])
}

test_missing_parity_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/onnx/parity_max_abs_diff"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
