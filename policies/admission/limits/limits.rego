# A container says how much it may take at most; otherwise it may take the node.
package archlab.rules.admission.limits

import rego.v1

actions := {"admission/deploy"}

requires := {
	"evidence.workload.kind",
	"evidence.workload.name",
	"evidence.pod.spec.containers",
	"evidence.required_limits",
}

workload := input.evidence.workload

spec := input.evidence.pod.spec

containers := array.concat(object.get(spec, "initContainers", []), spec.containers)

# Limits on the pod as a whole count for each container.
shared := object.get(object.get(spec, "resources", {}), "limits", {})

default allow := false

allow if {
	is_array(spec.containers)
	is_array(input.evidence.required_limits)
	count(lacking) == 0
}

lacking := [text |
	some container in containers
	absent := [resource |
		some resource in input.evidence.required_limits
		not limited(container, resource)
	]
	count(absent) > 0
	text := sprintf("%v (%v)", [container.name, concat(", ", absent)])
]

limited(container, resource) if is_limit(object.get(object.get(object.get(container, "resources", {}), "limits", {}), resource, "0"))

limited(_, resource) if is_limit(object.get(shared, resource, "0"))

# Nought is how Kubernetes writes "no limit".
is_limit(quantity) if not regex.match(`^[+-]?0*[.]?0*([eE][+-]?[0-9]+|[A-Za-z]*)$`, sprintf("%v", [quantity]))

reasons contains {"code": "no_limits", "message": message} if {
	count(lacking) > 0
	message := sprintf(
		"%v %v: a container without limits can take the whole node. Set resources.limits of %v.",
		[workload.kind, workload.name, concat(", ", lacking)],
	)
}
