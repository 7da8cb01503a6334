# Only a rule that says so itself (`waivable := true`) can be set aside.
package archlab.rules.exception.waivable_rule

import rego.v1

actions := {"exception/grant"}

requires := {"evidence.rule", "evidence.known", "evidence.waivable"}

default allow := false

allow if {
	is_string(input.evidence.rule)
	input.evidence.known == true
	input.evidence.waivable == true
}

reasons contains {"code": "unknown_rule", "message": message} if {
	input.evidence.known == false
	message := sprintf("There is no rule %v.", [input.evidence.rule])
}

reasons contains {"code": "never_waived", "message": message} if {
	input.evidence.known == true
	input.evidence.waivable == false
	message := sprintf("The rule %v can't be waived for anybody.", [input.evidence.rule])
}
