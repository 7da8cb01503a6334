# Whoever sets a rule aside has the say in it, and does not do it for their own work.
package archlab.rules.exception.granted_by_another

import rego.v1

actions := {"exception/grant"}

requires := {"subject.user", "subject.roles", "evidence.authors"}

user := input.subject.user

authors := input.evidence.authors

default allow := false

allow if {
	is_string(user)
	user != ""
	"approver" in input.subject.roles
	is_array(authors)
	count(authors) > 0
	every author in authors {
		is_string(author)
		author != ""
		author != user
	}
}

reasons contains {"code": "not_an_approver", "message": message} if {
	not "approver" in input.subject.roles
	message := sprintf("Only the role approver grants exceptions; %v does not have it.", [user])
}

reasons contains {"code": "own_version", "message": message} if {
	is_array(authors)
	user in authors
	message := sprintf("%v wrote a version of %v and can't grant it an exception.", [user, input.resource.name])
}

reasons contains {"code": "no_version", "message": message} if {
	authors == []
	message := sprintf("%v has no version yet: there is nothing to grant an exception for.", [input.resource.name])
}
