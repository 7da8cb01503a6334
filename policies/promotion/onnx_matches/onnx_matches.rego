# What would be served is the file that was registered, and it computes what was trained.
package archlab.rules.promotion.onnx_matches

import rego.v1

actions := {"promotion/champion", "promotion/challenger"}

# Never waived: the digest in this decision is what servers check a file against.
waivable := false

requires := {
	"evidence.version.onnx.sha256",
	"evidence.version.onnx.registered_sha256",
	"evidence.version.onnx.parity_max_abs_diff",
}

max_abs_diff := 0.001

onnx := input.evidence.version.onnx

default allow := false

allow if {
	same_file
	is_number(onnx.parity_max_abs_diff)
	onnx.parity_max_abs_diff >= 0
	onnx.parity_max_abs_diff <= max_abs_diff
}

same_file if {
	is_string(onnx.sha256)
	count(onnx.sha256) == 64
	onnx.sha256 == onnx.registered_sha256
}

reasons contains {"code": "file_differs", "message": message} if {
	onnx.sha256
	onnx.registered_sha256
	not same_file
	message := sprintf(
		"model.onnx is %v now; %v was registered. Register the changed file as a new version.",
		[onnx.sha256, onnx.registered_sha256],
	)
}

reasons contains {"code": "no_parity", "message": message} if {
	is_number(onnx.parity_max_abs_diff)
	onnx.parity_max_abs_diff > max_abs_diff
	message := sprintf(
		"ONNX and the trained model differ by %v on the check rows; at most %v is allowed.",
		[onnx.parity_max_abs_diff, max_abs_diff],
	)
}
