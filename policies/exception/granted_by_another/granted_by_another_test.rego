package archlab.rules.exception.granted_by_another_test

import data.archlab.rules.exception.granted_by_another as rule
import rego.v1

good := {
	"subject": {"user": "grace", "team": "platform", "roles": ["viewer", "approver"]},
	"resource": {"name": "departure-delay"},
	"evidence": {"authors": ["ada", "trainer"]},
}

codes := {reason.code | some reason in rule.reasons}

test_an_approver_who_wrote_nothing_of_it_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_without_the_role_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/subject/roles", "value": ["developer", "operator"]}])
	codes == {"not_an_approver"} with input as json.patch(good, [{"op": "add", "path": "/subject/roles", "value": ["developer", "operator"]}])
}

test_an_author_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/authors", "value": ["ada", "grace"]}])
	codes == {"own_version"} with input as json.patch(good, [{"op": "add", "path": "/evidence/authors", "value": ["ada", "grace"]}])
}

test_a_model_without_versions_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/authors", "value": []}])
	codes == {"no_version"} with input as json.patch(good, [{"op": "add", "path": "/evidence/authors", "value": []}])
}

test_an_unknown_author_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/authors", "value": [""]}])
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/authors", "value": [null]}])
}

test_authors_as_text_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/authors", "value": "ada"}])
}

test_missing_authors_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/authors"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
