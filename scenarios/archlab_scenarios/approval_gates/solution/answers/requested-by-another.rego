# Four eyes are two people: who asked a service account for a version does not approve it. YOURS: the account.
package archlab.rules.promotion.requested_by_another

import rego.v1

actions := {"promotion/champion"}

robot := "trainer" # YOURS

version := input.evidence.version

tag := object.get(input.resource.tags, "archlab.requested_by", "")

default allow := false

# A rollback goes to a version that was let through before.
allow if {
	sound
	version.held_champion == true
}

allow if {
	sound
	requester != robot
	version.approved_by != requester
	version.approved_by != version.author
}

requester := tag if tag != ""

# Who registered it in person has asked for it.
requester := version.author if {
	tag == ""
	version.author != robot
}

sound if {
	is_string(tag)
	is_string(version.author)
	is_string(version.approved_by)
	is_boolean(version.held_champion)
}

reasons contains {"code": "no_second_person", "message": message} if {
	not allow
	message := "Nobody knows who asked for it, or whoever did has approved it. Name them; let somebody else approve."
}
