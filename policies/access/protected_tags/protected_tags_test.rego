package archlab.rules.access.protected_tags_test

import data.archlab.rules.access.protected_tags as rule
import rego.v1

approval := {
	"subject": {"user": "grace", "team": "platform", "roles": ["viewer", "approver"]},
	"evidence": {"key": "archlab.approved_by", "value": "grace", "operation": "set", "author": "ada"},
}

codes := {reason.code | some reason in rule.reasons}

test_approval_in_own_name_is_allowed if {
	rule.allow with input as approval
	codes == set() with input as approval
}

test_withdrawal_by_an_approver_is_allowed if {
	rule.allow with input as json.patch(approval, [{"op": "add", "path": "/evidence/operation", "value": "delete"}])
}

test_other_tags_are_free if {
	rule.allow with input as json.patch(approval, [{"op": "add", "path": "/evidence/key", "value": "note"}])
}

test_approval_without_the_role_is_refused if {
	not rule.allow with input as json.patch(approval, [{"op": "add", "path": "/subject/roles", "value": ["developer", "operator"]}])
	codes == {"not_an_approver"} with input as json.patch(approval, [{"op": "add", "path": "/subject/roles", "value": ["developer", "operator"]}])
}

test_approval_in_another_name_is_refused if {
	not rule.allow with input as json.patch(approval, [{"op": "add", "path": "/evidence/value", "value": "linus"}])
	codes == {"another_name"} with input as json.patch(approval, [{"op": "add", "path": "/evidence/value", "value": "linus"}])
}

test_approval_by_the_author_is_refused if {
	not rule.allow with input as json.patch(approval, [{"op": "add", "path": "/evidence/author", "value": "grace"}])
	codes == {"own_version"} with input as json.patch(approval, [{"op": "add", "path": "/evidence/author", "value": "grace"}])
}

test_author_is_written_by_the_gate_alone if {
	not rule.allow with input as json.patch(approval, [{"op": "add", "path": "/evidence/key", "value": "archlab.author"}])
	codes == {"server_side"} with input as json.patch(approval, [{"op": "add", "path": "/evidence/key", "value": "archlab.author"}])
}

test_digest_is_written_by_the_gate_alone if {
	not rule.allow with input as json.patch(approval, [{"op": "add", "path": "/evidence/key", "value": "archlab.sha256"}])
}

test_an_exception_as_part_of_another_change_is_refused if {
	not rule.allow with input as json.patch(approval, [{"op": "add", "path": "/evidence/key", "value": "archlab.Exception.promotion/x"}])
	codes == {"by_itself"} with input as json.patch(approval, [{"op": "add", "path": "/evidence/key", "value": "archlab.exception.promotion/x"}])
}

test_an_end_as_part_of_another_change_is_refused if {
	not rule.allow with input as json.patch(approval, [{"op": "add", "path": "/evidence/key", "value": "archlab.sunset"}])
	not rule.allow with input as json.patch(approval, [{"op": "add", "path": "/evidence/key", "value": "archlab.Retired"}])
}

test_missing_author_is_refused if {
	not rule.allow with input as json.patch(approval, [{"op": "remove", "path": "/evidence/author"}])
}

test_missing_operation_is_refused if {
	not rule.allow with input as json.patch(approval, [{"op": "remove", "path": "/evidence/operation"}])
}

test_missing_key_is_refused if {
	not rule.allow with input as json.patch(approval, [{"op": "remove", "path": "/evidence/key"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
