package archlab.rules.admission.not_privileged_test

import data.archlab.rules.admission.not_privileged as rule
import rego.v1

good := {"evidence": {
	"workload": {"kind": "Deployment", "name": "web"},
	"pod": {"spec": {
		"containers": [{"name": "app", "securityContext": {"privileged": false}}],
		"volumes": [{"name": "scratch", "emptyDir": {}}],
	}},
}}

codes := {reason.code | some reason in rule.reasons}

test_an_ordinary_workload_is_allowed if {
	rule.allow with input as good
	rule.reasons == set() with input as good
}

test_a_privileged_container_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/containers/0/securityContext/privileged", "value": true}])
	codes == {"privileged"} with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/containers/0/securityContext/privileged", "value": true}])
}

test_a_privileged_init_container_is_refused if {
	codes == {"privileged"} with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/initContainers", "value": [{"name": "init", "securityContext": {"privileged": true}}]}])
}

test_the_nodes_namespaces_are_refused if {
	codes == {"host_namespaces"} with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/hostPID", "value": true}])
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/hostNetwork", "value": true}])
}

test_the_nodes_files_are_refused if {
	codes == {"host_path"} with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/volumes/0", "value": {"name": "root", "hostPath": {"path": "/"}}}])
}

test_missing_containers_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/pod/spec/containers"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
