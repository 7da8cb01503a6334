package archlab.rules.admission.team_label_test

import data.archlab.rules.admission.team_label as rule
import rego.v1

good := {"evidence": {
	"workload": {"kind": "Deployment", "name": "web"},
	"pod": {"metadata": {"labels": {"archlab.dev/team": "ops"}}, "spec": {"containers": []}},
}}

codes := {reason.code | some reason in rule.reasons}

test_a_labelled_workload_is_allowed if {
	rule.allow with input as good
	rule.reasons == set() with input as good
}

test_another_label_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/metadata/labels", "value": {"team": "ops"}}])
	codes == {"no_team"} with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/metadata/labels", "value": {"team": "ops"}}])
}

test_an_empty_label_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/pod/metadata/labels", "value": {"archlab.dev/team": ""}}])
}

test_missing_labels_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/pod/metadata"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
