package archlab.rules.retention.legal_hold_test

import data.archlab.rules.retention.legal_hold as rule
import rego.v1

deletion := {
	"action": "retention/delete",
	"subject": {"user": "ada", "roles": ["developer"]},
	"evidence": {"versions": [{"version": "1", "hold": ""}]},
}

tagging := {
	"action": "access/tag",
	"subject": {"user": "grace", "roles": ["approver"]},
	"evidence": {"key": "archlab.hold", "operation": "set", "value": "incident of 4 November"},
}

codes := {reason.code | some reason in rule.reasons}

test_deletion_without_a_hold_is_allowed if {
	rule.allow with input as deletion
	codes == set() with input as deletion
}

test_deletion_of_what_is_held_is_refused if {
	not rule.allow with input as json.patch(deletion, [{"op": "add", "path": "/evidence/versions/0/hold", "value": "incident"}])
	codes == {"on_hold"} with input as json.patch(deletion, [{"op": "add", "path": "/evidence/versions/0/hold", "value": "incident"}])
}

test_an_approver_holding_is_allowed if {
	rule.allow with input as tagging
	codes == set() with input as tagging
}

test_a_developer_lifting_is_refused if {
	not rule.allow with input as json.patch(tagging, [{"op": "add", "path": "/subject/roles", "value": ["developer"]}])
	codes == {"not_a_keeper"} with input as json.patch(tagging, [{"op": "add", "path": "/subject/roles", "value": ["developer"]}])
}

test_capitals_change_nothing_and_are_refused if {
	not rule.allow with input as json.patch(tagging, [
		{"op": "add", "path": "/subject/roles", "value": ["developer"]},
		{"op": "add", "path": "/evidence/key", "value": "archlab.HOLD"},
	])
}

test_other_tags_are_allowed if {
	rule.allow with input as json.patch(tagging, [
		{"op": "add", "path": "/subject/roles", "value": ["developer"]},
		{"op": "add", "path": "/evidence/key", "value": "archlab.metric"},
	])
}

test_missing_hold_is_refused if {
	not rule.allow with input as json.patch(deletion, [{"op": "remove", "path": "/evidence/versions/0/hold"}])
}

test_missing_roles_are_refused if {
	not rule.allow with input as json.patch(tagging, [{"op": "remove", "path": "/subject/roles"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
