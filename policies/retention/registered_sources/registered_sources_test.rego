package archlab.rules.retention.registered_sources_test

import data.archlab.rules.retention.registered_sources as rule
import rego.v1

good := {
	"subject": {"user": "ada"},
	"resource": {"name": "run 7f"},
	"evidence": {"registered": []},
}

codes := {reason.code | some reason in rule.reasons}

test_what_nothing_comes_from_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_a_registered_run_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/registered", "value": [{"name": "flight-time", "version": "2"}]}])
	codes == {"registered"} with input as json.patch(good, [{"op": "add", "path": "/evidence/registered", "value": [{"name": "flight-time", "version": "2"}]}])
}

test_missing_answer_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/registered"}])
}

test_an_answer_of_another_type_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/registered", "value": ""}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
