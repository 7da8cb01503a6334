# What is served has a bill of materials that is about this very model and says what went into it.
package archlab.rules.supply_chain.bom_complete

import rego.v1

actions := {"promotion/champion", "promotion/challenger"}

requires := {
	"evidence.version.bom.sha256",
	"evidence.version.bom.registered_sha256",
	"evidence.version.onnx.sha256",
	"evidence.version.data_digest",
}

spec_versions := {"1.6", "1.7"}

bom := input.evidence.version.bom

default allow := false

allow if {
	same_file
	about_this_model
	count(lacking) == 0
}

same_file if {
	is_string(bom.sha256)
	count(bom.sha256) == 64
	bom.sha256 == bom.registered_sha256
}

about_this_model if {
	is_string(bom.model_sha256)
	bom.model_sha256 == input.evidence.version.onnx.sha256
}

names_the_data if {
	is_string(input.evidence.version.data_digest)
	is_array(bom.datasets)
	input.evidence.version.data_digest in bom.datasets
}

names_libraries if {
	is_array(bom.libraries)
	count(bom.libraries) > 0
}

# Rules of their own: in OPA `not` in front of an expression over a field that is missing is not true.
known_format if bom.spec_version in spec_versions

has_card if bom.model_card == true

lacking contains "the specification's version, 1.6 or 1.7" if not known_format

lacking contains "a model card" if not has_card

lacking contains "the training data with the digest that the version names" if not names_the_data

lacking contains "the libraries that it was trained with" if not names_libraries

reasons contains {"code": "bom_differs", "message": message} if {
	bom.sha256
	bom.registered_sha256
	not same_file
	message := sprintf(
		"bom.cdx.json is %v now; %v was registered. Register the changed files as a new version.",
		[bom.sha256, bom.registered_sha256],
	)
}

reasons contains {"code": "another_model", "message": message} if {
	bom.sha256
	not about_this_model
	message := "The bill of materials does not describe this model.onnx. Write it anew for the file that is registered."
}

reasons contains {"code": "incomplete", "message": message} if {
	bom.sha256
	some part in lacking
	message := sprintf("The bill of materials lacks %v.", [part])
}
