package archlab.rules.deployment.features_served_test

import data.archlab.rules.deployment.features_served as rule
import rego.v1

good := {"evidence": {
	"served_views": ["origin_ops", "weather"],
	"version": {"columns": [
		{"name": "hour", "source": "request"},
		{"name": "temp", "source": "weather"},
	]},
}}

codes := {reason.code | some reason in rule.reasons}

test_served_views_are_allowed if {
	rule.allow with input as good
	codes == set() with input as good
}

test_request_columns_alone_are_allowed if {
	rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/columns", "value": [{"name": "hour", "source": "request"}]}])
}

test_an_unknown_view_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/columns/1/source", "value": "wheather"}])
	codes == {"not_served"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/columns/1/source", "value": "wheather"}])
}

test_no_columns_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "add", "path": "/evidence/version/columns", "value": []}])
	codes == {"no_columns"} with input as json.patch(good, [{"op": "add", "path": "/evidence/version/columns", "value": []}])
}

test_missing_columns_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/columns"}])
}

test_missing_views_are_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/served_views"}])
}

test_a_column_without_source_is_refused if {
	not rule.allow with input as json.patch(good, [{"op": "remove", "path": "/evidence/version/columns/1/source"}])
}

test_nothing_known_is_refused if {
	not rule.allow with input as {}
}
