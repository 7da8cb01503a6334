"""What is right, computed from the learner's own lab: one function per question, pure over evidence."""

from __future__ import annotations

from archlab_scenarios.five_teams.apart import hold_the_neighbour, lent_not_raised, quota_that_bites, what_holds_it
from archlab_scenarios.five_teams.lending import just_enough, lending_cases, lent_narrowly, may_it_use, who_may_lend
from archlab_scenarios.five_teams.paying import (
    dearest_answer,
    fair_share,
    job_on_the_bill,
    leaving_saves,
    never_pays,
    one_profile_for_all,
    outside_offer,
    whose_bill_moves,
    whose_record,
)
from archlab_scenarios.five_teams.standing import (
    own_servers_for_whom,
    warned_after_pools,
    what_quotas_say,
    whom_to_ask,
)

__all__ = [
    "dearest_answer",
    "fair_share",
    "hold_the_neighbour",
    "job_on_the_bill",
    "just_enough",
    "leaving_saves",
    "lending_cases",
    "lent_narrowly",
    "lent_not_raised",
    "may_it_use",
    "never_pays",
    "one_profile_for_all",
    "outside_offer",
    "own_servers_for_whom",
    "quota_that_bites",
    "warned_after_pools",
    "what_holds_it",
    "what_quotas_say",
    "who_may_lend",
    "whom_to_ask",
    "whose_bill_moves",
    "whose_record",
]
