# Nothing that runs code when it is loaded comes into the registry.
package archlab.rules.supply_chain.no_executable_files

import rego.v1

actions := {"supply_chain/register"}

requires := {"evidence.files"}

# Kinds are told by content, whatever a file is called.
refused_kinds := {"pickle", "zip", "elf", "script", "unreadable"}

refused_endings := {".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".h5", ".keras", ".npy", ".npz", ".py", ".sh", ".so", ".jar"}

files := input.evidence.files

default allow := false

allow if {
	is_array(files)
	count(files) > 0
	every file in files {
		is_string(file.path)
		is_string(file.kind)
	}
	count(unsafe) == 0
}

unsafe contains [file.path, file.kind] if {
	some file in files
	file.kind in refused_kinds
}

unsafe contains [file.path, ending] if {
	some file in files
	is_string(file.path)
	some ending in refused_endings
	endswith(lower(file.path), ending)
}

reasons contains {"code": "executable", "message": message} if {
	some found in unsafe
	message := sprintf("%v can run code when it is loaded (%v). Only ONNX and plain text are registered.", [found[0], found[1]])
}
