package archlab.rules.data.restricted_columns_test

import data.archlab.rules.data.restricted_columns as rule
import rego.v1

good := {
	"resource": {"name": "aircraft-reliability", "team": "maintenance"},
	"evidence": {"version": {"columns": [
		{"name": "distance", "source": "request"},
		{"name": "af_age", "source": "aircraft_profile"},
	]}},
}

codes := {reason.code | some reason in rule.reasons}

test_a_team_that_may_is_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_unrestricted_views_are_allowed if {
	rule.allow with input as json.patch(good, [
		{"op": "add", "path": "/resource/team", "value": "revenue"},
		{"op": "add", "path": "/evidence/version/columns/1/source", "value": "weather"},
	])
}

test_another_team_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/resource/team", "value": "revenue"}])
	codes == {"restricted"} with input as json.patch(good, [{"op": "add", "path": "/resource/team", "value": "revenue"}])
}

told := json.patch(good, [{"op": "add", "path": "/evidence/restricted_views", "value": {
	"aircraft_profile": {"revenue": [], "maintenance": ["af_age"]},
	"weather": {},
}}])

test_what_the_lab_says_counts if {
	rule.allow with input as json.patch(told, [{"op": "add", "path": "/resource/team", "value": "revenue"}])
	not rule.allow with input as json.patch(told, [{"op": "add", "path": "/resource/team", "value": "operations"}])
}

test_a_column_that_the_grant_leaves_out_is_refused if {
	not rule.allow with input as told
	codes == {"left_out"} with input as told
}

test_a_view_for_nobody_is_refused if {
	not rule.allow with input as json.patch(told, [
		{"op": "add", "path": "/resource/team", "value": "revenue"},
		{"op": "add", "path": "/evidence/version/columns/1/source", "value": "weather"},
	])
}

test_restricted_views_of_another_type_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/restricted_views", "value": "none"}])
}

test_no_team_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/resource/team", "value": ""}])
}

test_missing_team_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/resource/team"}])
}

test_missing_columns_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/columns"}])
}

test_missing_source_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/columns/1/source"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
