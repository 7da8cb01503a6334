# candidate -> challenger -> champion -> deprecated -> retired: which moves there are.
package archlab.rules.lifecycle.allowed_moves

import rego.v1

actions := {
	"promotion/champion",
	"promotion/challenger",
	"lifecycle/deprecate",
	"lifecycle/reinstate",
	"lifecycle/retire",
}

# Never waived: what is retired stays retired.
waivable := false

# From which states each move may start. `former` was champion and was replaced; a rollback goes back to it.
starts := {
	"promotion/champion": {"candidate", "challenger", "champion", "former"},
	"promotion/challenger": {"candidate", "challenger", "champion", "former"},
	"lifecycle/deprecate": {"candidate", "challenger", "champion", "former", "deprecated"},
	"lifecycle/reinstate": {"deprecated"},
	"lifecycle/retire": {"candidate", "challenger", "former", "deprecated"},
}

states := {"candidate", "challenger", "champion", "former", "deprecated", "retired"}

becomes := {
	"promotion/champion": "become champion",
	"promotion/challenger": "become challenger",
	"lifecycle/deprecate": "be deprecated",
	"lifecycle/reinstate": "be reinstated",
	"lifecycle/retire": "be retired",
}

state := input.evidence.version.state if startswith(input.action, "promotion/")

state := input.evidence.state if startswith(input.action, "lifecycle/")

default allow := false

allow if {
	known
	state in starts[input.action]
}

known if {
	is_string(state)
	state in states
}

reasons contains {"code": "unknown_state", "message": "Nobody knows in which state it is."} if {
	not known
}

reasons contains {"code": "no_such_move", "message": message} if {
	known
	not state in starts[input.action]
	what := trim_space(concat(" ", [input.resource.name, input.resource.version]))
	message := sprintf("%v is %v and can't %v.", [what, state, becomes[input.action]])
}

reasons contains {"code": "deprecate_first", "message": "Deprecate it first, so that its callers know when it goes."} if {
	input.action == "lifecycle/retire"
	state == "champion"
}
