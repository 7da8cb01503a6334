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

# Objections, as {rule, code, message}.
refusals contains {"rule": "", "code": "", "message": ""} if false

# Fields that rules require and the input has.
present contains "" if false

area := split(input.action, "/")[0]

default allow := false

# A change passes when some rule covers its action, every rule that applies passes it, and none objects.
allow if {
	covered
	count(applies) > 0
	count(refusals) == 0
	applies == passes
}

unexplained contains rule if {
	some rule in applies
	not rule in passes
	not rule in explained
}

explained contains refusal.rule if some refusal in refusals

reasons contains refusal if some refusal in refusals

reasons contains {"rule": rule, "code": "refused", "message": "The rule did not allow it and gave no reason."} if {
	some rule in unexplained
}

reasons contains {"rule": "archlab/main", "code": "unknown_action", "message": message} if {
	not covered
	message := sprintf("No rule covers the action %v.", [input.action])
}

reasons contains {"rule": "archlab/main", "code": "unknown_action", "message": "The query names no action."} if {
	not input.action
}

decision := {"allow": allow, "reasons": reasons, "obligations": []}
