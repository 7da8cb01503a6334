package archlab.rules.admission.limits_test

import data.archlab.rules.admission.limits as rule
import rego.v1

good := {"evidence": {
	"workload": {"kind": "Deployment", "name": "web"},
	"required_limits": ["cpu", "memory"],
	"pod": {"spec": {
		"initContainers": [{"name": "warm", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}],
		"containers": [{"name": "app", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}],
	}},
}}

codes := {reason.code | some reason in rule.reasons}

test_limits_on_every_container_are_allowed if {
	rule.allow with input as good
	rule.reasons == set() with input as good
}

test_limits_on_the_pod_are_allowed if {
	rule.allow with input as json.patch(good, [
		{"op": "remove", "path": "/evidence/pod/spec/containers/0/resources"},
		{"op": "add", "path": "/evidence/pod/spec/resources", "value": {"limits": {"cpu": "1", "memory": "1Gi"}}},
	])
}

test_an_absent_limit_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/pod/spec/containers/0/resources/limits/memory"}])
	codes == {"no_limits"} with input as json.patch(good, [{"op": "remove", "path": "/evidence/pod/spec/containers/0/resources/limits/memory"}])
}

test_an_init_container_without_limits_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/pod/spec/initContainers/0/resources"}])
	codes == {"no_limits"} with input as json.patch(good, [{"op": "remove", "path": "/evidence/pod/spec/initContainers/0/resources"}])
}

test_a_limit_of_nought_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/containers/0/resources/limits/cpu", "value": 0}])
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/containers/0/resources/limits/cpu", "value": "0.0m"}])
}

test_missing_containers_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/pod/spec/containers"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
