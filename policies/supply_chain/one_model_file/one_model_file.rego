# A version holds one model, of a size that was thought about.
package archlab.rules.supply_chain.one_model_file

import rego.v1

actions := {"supply_chain/register"}

requires := {"evidence.files"}

max_bytes := 1073741824

default allow := false

allow if {
	is_array(input.evidence.files)
	count(models) == 1
	every file in models {
		is_number(file.bytes)
		file.bytes > 0
		file.bytes <= max_bytes
	}
}

models contains file if {
	some file in input.evidence.files
	is_string(file.path)
	name := split(file.path, "/")
	name[count(name) - 1] == "model.onnx"
}

reasons contains {"code": "no_model", "message": "There is no model.onnx among the files: nothing here could be served."} if {
	is_array(input.evidence.files)
	count(models) == 0
}

reasons contains {"code": "several_models", "message": message} if {
	count(models) > 1
	message := sprintf("There are %v files model.onnx; a version has one.", [count(models)])
}

reasons contains {"code": "size", "message": message} if {
	some file in models
	not within(file.bytes)
	message := sprintf("%v has %v bytes; from 1 to %v are allowed.", [file.path, file.bytes, max_bytes])
}

within(bytes) if {
	bytes > 0
	bytes <= max_bytes
}
