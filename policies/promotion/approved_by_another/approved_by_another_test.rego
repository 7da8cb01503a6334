package archlab.rules.promotion.approved_by_another_test

import data.archlab.rules.promotion.approved_by_another as rule
import rego.v1

good := {
	"resource": {"version": "2"},
	"evidence": {"version": {"author": "ada", "approved_by": "grace", "changed_since_approval": false}},
}

codes := {reason.code | some reason in rule.reasons}

test_approved_by_another_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_not_approved_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/approved_by"}])
	codes == {"not_approved"} with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/approved_by"}])
}

test_approved_by_the_author_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/approved_by", "value": "ada"}])
	codes == {"approved_by_author"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/approved_by", "value": "ada"}])
}

test_changed_after_approval_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/changed_since_approval", "value": true}])
	codes == {"changed_after_approval"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/changed_since_approval", "value": true}])
}

test_empty_approver_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/approved_by", "value": ""}])
}

test_missing_author_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/author"}])
}

test_missing_fingerprint_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/changed_since_approval"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
