# A workload says which team it belongs to: whoever runs something pays for it.
package archlab.rules.admission.team_label

import rego.v1

actions := {"admission/deploy"}

requires := {"evidence.workload.kind", "evidence.workload.name", "evidence.pod.spec"}

label := "archlab.dev/team"

workload := input.evidence.workload

default allow := false

allow if {
	is_string(input.evidence.pod.metadata.labels[label])
	input.evidence.pod.metadata.labels[label] != ""
}

reasons contains {"code": "no_team", "message": message} if {
	not allow
	message := sprintf("%v %v: no team would pay for its pods. Label the pod template: %v.", [workload.kind, workload.name, label])
}
