# Only images that somebody stands for run in a lab's namespaces.
package archlab.rules.admission.allowed_image

import rego.v1

actions := {"admission/deploy"}

requires := {
	"evidence.workload.kind",
	"evidence.workload.name",
	"evidence.pod.spec.containers",
	"evidence.allowed_images",
}

workload := input.evidence.workload

spec := input.evidence.pod.spec

allowed := [short(name) | some name in input.evidence.allowed_images]

images := [short(object.get(container, "image", "")) |
	some list in [object.get(spec, "initContainers", []), spec.containers, object.get(spec, "ephemeralContainers", [])]
	some container in list
]

default allow := false

allow if {
	is_array(spec.containers)
	is_array(input.evidence.allowed_images)
	count(foreign) == 0
}

foreign := [image | some image in images; not is_allowed(image)]

# Docker Hub's images as they are written in short.
short(name) := trim_prefix(trim_prefix(name, "docker.io/"), "library/") if startswith(name, "docker.io/library/")

short(name) := trim_prefix(name, "docker.io/") if not startswith(name, "docker.io/library/")

# An allowed name matches itself, with a tag or digest, and what lies below it.
is_allowed(image) if image in allowed

is_allowed(image) if {
	some name in allowed
	startswith(image, concat("", [name, "/"]))
}

is_allowed(image) if {
	some name in allowed
	startswith(image, concat("", [name, "@"]))
}

is_allowed(image) if {
	some name in allowed
	startswith(image, concat("", [name, ":"]))
	not contains(trim_prefix(image, name), "/")
}

reasons contains {"code": "foreign_image", "message": message} if {
	count(foreign) > 0
	message := sprintf(
		"%v %v: only images of %v may run here, not %v.",
		[workload.kind, workload.name, concat(", ", allowed), concat(", ", foreign)],
	)
}
