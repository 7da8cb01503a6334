"""The runbooks of a region pair: to the other region, and back.

Failover: see what would be lost, fence, promote; the gateway follows by itself. Failback: heal, rejoin, switch over.
"""

from __future__ import annotations

from archlab.drills.region import REGIONS, Region
from archlab.drills.testbed import Testbed
from archlab.recovery import assessing, fencing, replication, server
from archlab.recovery.runbook import Done, Step, carry_out

FAILOVER, FAILBACK, RESTORE = "failover", "failback", "restore the standby"


def failover(testbed: Testbed, *, accept_data_loss: bool = False) -> tuple[Done, ...]:
    """The other region takes over. Harmless when it has.

    Raises:
        ConflictError: acknowledged writes may be lost, and nobody accepted it.
    """
    lost, taking = testbed.regions[testbed.primary], testbed.other(testbed.primary)
    steps = (
        Step("assess", lambda: assess(testbed, accept_data_loss=accept_data_loss), changes=False),
        Step("fence", lambda: _fence(testbed, lost, taking)),
        Step("promote", lambda: _promote(testbed, taking)),
    )
    return carry_out(testbed.folder.root / "failover.json", FAILOVER, steps, testbed.note)


def failback(testbed: Testbed) -> tuple[Done, ...]:
    """The first region is primary again, with the second as its standby, whatever was done to either."""
    first, second = (testbed.regions[name] for name in REGIONS)
    steps = (
        Step("heal", lambda: _heal(testbed)),
        Step("rejoin", lambda: _rejoin(testbed, testbed.other(testbed.primary), testbed.regions[testbed.primary])),
        Step("switch over", lambda: _switch_over(testbed, second, first)),
        Step("pair", lambda: _pair(testbed, first)),
    )
    return carry_out(testbed.folder.root / "failback.json", FAILBACK, steps, testbed.note)


def restore_standby(testbed: Testbed) -> tuple[Done, ...]:
    """The region that is not primary follows again, whatever was done to it; the roles stay."""
    primary, other = testbed.regions[testbed.primary], testbed.other(testbed.primary)
    steps = (
        Step("heal", lambda: _heal(testbed)),
        Step("rejoin", lambda: _rejoin(testbed, other, primary)),
        Step("pair", lambda: _pair(testbed, primary)),
    )
    return carry_out(testbed.folder.root / "restore-standby.json", RESTORE, steps, testbed.note)


def assess(testbed: Testbed, *, accept_data_loss: bool) -> str:
    """Whether a promotion can lose what was acknowledged.

    Raises:
        ConflictError: it can, and nobody accepted it; says how much, as far as it is known.
    """
    taking = testbed.other(testbed.primary).name
    behind = None
    if not testbed.synchronous:
        behind = replication.behind_bytes(testbed.regions[testbed.primary].server, taking)
    known = "nobody can say how far it is behind" if behind is None else f"it is {behind:,} bytes behind"
    why = f"replication is asynchronous, and {known}"
    return assessing.assess(taking, why, lossless=testbed.synchronous, accepted=accept_data_loss)


def _fence(testbed: Testbed, lost: Region, taking: Region) -> str:
    reason = f"{taking.name} takes over from it"
    fencing.raise_fence(lost.folder, reason)
    testbed.end(lost.service)
    server.fence(lost.server, reason)
    return f"nothing runs in {lost.name}, and nothing starts there"


def _promote(testbed: Testbed, taking: Region) -> str:
    replication.promote(taking.server)
    testbed.primary = taking.name
    # nobody follows it yet: writes that waited for somebody would wait for ever
    testbed.synchronous = False
    return f"{taking.name} takes writes, with no standby"


def _heal(testbed: Testbed) -> str:
    """Links as usual; nothing of a partition's silence is left on them."""
    testbed.shape(testbed.usual, drop=True)
    return "links as usual"


def _rejoin(testbed: Testbed, back: Region, primary: Region) -> str:
    """A region that was lost, fenced or hung follows the primary."""
    testbed.end(back.service)
    if not primary.server.accepting:
        return _restart(testbed, primary, back)
    if back.server.accepting and not back.server.is_primary:
        how = "follows already"
    else:
        server.fence(back.server, f"{primary.name} is primary, and it has to follow")
        how = replication.rejoin(back.server, primary.server, back.upstream)
        testbed.start_database(back)
    replication.wait_streaming(primary.server, [back.name])
    testbed.start_service(back)
    return f"{back.name}: {how}"


def _restart(testbed: Testbed, primary: Region, standby: Region) -> str:
    """Nobody took over: the lost region comes back as what it was."""
    testbed.kill(primary)
    fencing.lower_fence(primary.folder)
    testbed.start_database(primary)
    for region in (primary, standby):
        testbed.start_service(region)
    return f"{primary.name} is back; nobody had taken over"


def _switch_over(testbed: Testbed, leaving: Region, taking: Region) -> str:
    """In order, with nothing lost: the leaving primary sends all it has before it ends."""
    if testbed.primary == taking.name:
        return f"{taking.name} is primary"
    testbed.end(leaving.service)
    replication.hand_over(leaving.server, taking.server)
    testbed.primary = taking.name
    replication.rejoin(leaving.server, taking.server, leaving.upstream)
    testbed.start_database(leaving)
    testbed.start_service(leaving)
    return f"{taking.name} is primary"


def _pair(testbed: Testbed, primary: Region) -> str:
    testbed.pair(primary)
    standby = testbed.other(primary.name)
    # what it kept for the other region while it was primary itself would fill its disk
    replication.drop_slot(standby.server, primary.name)
    return f"{standby.name} follows"
