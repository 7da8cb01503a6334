package archlab.rules.supply_chain.bom_complete_test

import data.archlab.rules.supply_chain.bom_complete as rule
import rego.v1

digest := "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

model := "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

good := {"evidence": {"version": {
	"data_digest": "dddd",
	"onnx": {"sha256": model},
	"bom": {
		"sha256": digest,
		"registered_sha256": digest,
		"spec_version": "1.6",
		"model_sha256": model,
		"model_card": true,
		"datasets": ["dddd"],
		"libraries": ["scikit-learn==1.7.0"],
	},
}}}

codes := {reason.code | some reason in rule.reasons}

test_a_complete_bill_of_materials_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_a_changed_bill_of_materials_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/bom/sha256", "value": model}])
	codes == {"bom_differs"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/bom/sha256", "value": model}])
}

test_one_about_another_model_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/bom/model_sha256", "value": digest}])
	codes == {"another_model"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/bom/model_sha256", "value": digest}])
}

test_other_data_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/bom/datasets", "value": ["eeee"]}])
	codes == {"incomplete"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/bom/datasets", "value": ["eeee"]}])
}

test_no_libraries_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/bom/libraries", "value": []}])
}

test_an_old_specification_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/bom/spec_version", "value": "1.4"}])
}

test_no_model_card_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/bom/model_card", "value": false}])
}

test_a_missing_bill_of_materials_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/bom"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}

test_missing_format_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/bom/spec_version"}])
}

test_missing_card_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/bom/model_card"}])
}
