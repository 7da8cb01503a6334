# The decision document. The bundle adds a generated file to this package, index.rego, which fills the names declared
# first for every rule there is.
package archlab

import rego.v1

# Some rule names the input's action.
covered if false

# Rules whose business the action is; those of them with an objection; those that allow it.
applies contains "" if false

blocked contains "" if false

passes contains "" if false

# Those of them that declare `waivable := true`: an exception may stand in for them. No other rule can be waived.
waivable contains "" if false

# Objections, as {rule, code, message}.
refusals contains {"rule": "", "code": "", "message": ""} if false

# Fields that rules require and the input has.
present contains "" if false

area := split(input.action, "/")[0]

default allow := false

# A change passes when some rule covers its action, and every rule that applies passes it without an objection or is
# waived by an exception in force.
allow if {
	covered
	count(applies) > 0
	count(standing) == 0
}

# Rules that stand in the way.
obstacles contains rule if {
	some rule in applies
	not rule in passes
}

obstacles contains refusal.rule if some refusal in refusals

standing contains rule if {
	some rule in obstacles
	not rule in waived
}

# Exceptions that the query brings, as far as they say who granted them, who answers for them, and until when.
exceptions contains exception if {
	is_array(input.evidence.exceptions)
	some exception in input.evidence.exceptions
	is_object(exception)
	is_string(exception.id)
	is_string(exception.rule)
	is_string(exception.granted_by)
	is_string(exception.owner)
	is_string(exception.until)
	is_number(exception.days_left)
}

# Four eyes hold for exceptions too: nobody's exception counts for a version that they wrote themselves.
in_force contains exception if {
	some exception in exceptions
	exception.days_left > 0
	exception.rule in waivable
	exception.granted_by != ""
	is_string(input.evidence.version.author)
	exception.granted_by != input.evidence.version.author
}

waived contains exception.rule if some exception in in_force

# What a decision says about the exceptions that it rests on.
used contains use if {
	some exception in in_force
	exception.rule in obstacles
	use := {
		"id": exception.id,
		"rule": exception.rule,
		"granted_by": exception.granted_by,
		"owner": exception.owner,
		"until": exception.until,
	}
}

unexplained contains rule if {
	some rule in standing
	not rule in explained
}

explained contains refusal.rule if some refusal in refusals

reasons contains refusal if {
	some refusal in refusals
	refusal.rule in standing
}

reasons contains {"rule": rule, "code": "refused", "message": "The rule did not allow it and gave no reason."} if {
	some rule in unexplained
}

reasons contains {"rule": exception.rule, "code": "exception_expired", "message": message} if {
	some exception in exceptions
	exception.days_left <= 0
	exception.rule in standing
	message := sprintf(
		"Exception %v, granted by %v, ended at %v on the business clock.",
		[exception.id, exception.granted_by, exception.until],
	)
}

reasons contains {"rule": "archlab/main", "code": "unknown_action", "message": message} if {
	not covered
	message := sprintf("No rule covers the action %v.", [input.action])
}

reasons contains {"rule": "archlab/main", "code": "unknown_action", "message": "The query names no action."} if {
	not input.action
}

decision := {"allow": allow, "reasons": reasons, "obligations": [], "exceptions": used}
