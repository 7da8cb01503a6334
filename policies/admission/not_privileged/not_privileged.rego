# A workload stays in its container: no privileged mode, none of the node's namespaces, none of its files.
package archlab.rules.admission.not_privileged

import rego.v1

actions := {"admission/deploy"}

requires := {"evidence.workload.kind", "evidence.workload.name", "evidence.pod.spec.containers"}

workload := input.evidence.workload

spec := input.evidence.pod.spec

containers := array.concat(
	array.concat(object.get(spec, "initContainers", []), spec.containers),
	object.get(spec, "ephemeralContainers", []),
)

default allow := false

allow if {
	is_array(spec.containers)
	count(privileged) == 0
	count(shared) == 0
	count(mounted) == 0
}

privileged := [container.name |
	some container in containers
	object.get(object.get(container, "securityContext", {}), "privileged", false)
]

shared := [name | some name in ["hostNetwork", "hostPID", "hostIPC"]; object.get(spec, name, false)]

mounted := [volume.name | some volume in object.get(spec, "volumes", []); volume.hostPath]

subject := sprintf("%v %v", [workload.kind, workload.name])

reasons contains {"code": "privileged", "message": message} if {
	count(privileged) > 0
	message := sprintf(
		"%v: a privileged container owns the node and everybody on it. Take securityContext.privileged off %v.",
		[subject, concat(", ", privileged)],
	)
}

reasons contains {"code": "host_namespaces", "message": message} if {
	count(shared) > 0
	message := sprintf("%v: it would share the node with everybody on it. Take off %v.", [subject, concat(", ", shared)])
}

reasons contains {"code": "host_path", "message": message} if {
	count(mounted) > 0
	message := sprintf(
		"%v: its volumes would show it the files of the node. Take hostPath off %v.",
		[subject, concat(", ", mounted)],
	)
}
