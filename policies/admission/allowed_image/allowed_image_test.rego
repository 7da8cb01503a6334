package archlab.rules.admission.allowed_image_test

import data.archlab.rules.admission.allowed_image as rule
import rego.v1

good := {"evidence": {
	"workload": {"kind": "Deployment", "name": "web"},
	"allowed_images": ["archlab", "docker.io/library/python", "localhost:5000/own"],
	"pod": {"spec": {"containers": [{"name": "app", "image": "archlab/serving:1"}]}},
}}

codes := {reason.code | some reason in rule.reasons}

test_an_image_below_an_allowed_name_is_allowed if {
	rule.allow with input as good
	rule.reasons == set() with input as good
}

test_the_long_name_of_docker_hub_is_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/containers/0/image", "value": "docker.io/archlab/serving:1"}])
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/containers/0/image", "value": "python:3.11"}])
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/containers/0/image", "value": "docker.io/library/python:3.11"}])
}

test_a_digest_is_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/containers/0/image", "value": "python@sha256:aaaa"}])
}

test_another_image_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/containers/0/image", "value": "docker.io/library/nginx:1.27"}])
	codes == {"foreign_image"} with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/containers/0/image", "value": "docker.io/library/nginx:1.27"}])
}

test_a_name_that_only_begins_alike_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/containers/0/image", "value": "archlab-evil/serving:1"}])
}

test_a_registry_named_like_an_allowed_image_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/containers/0/image", "value": "python:5000/evil"}])
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/containers/0/image", "value": "evil.example/docker.io/archlab/serving"}])
}

test_init_and_debug_containers_count if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/initContainers", "value": [{"name": "init", "image": "busybox"}]}])
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/spec/ephemeralContainers", "value": [{"name": "debug", "image": "busybox"}]}])
}

test_a_missing_image_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/pod/spec/containers/0/image"}])
}

test_missing_containers_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/pod/spec/containers"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
