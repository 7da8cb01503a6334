"""The runbooks of a region pair: to the other region, and back.

Failover: see what would be lost, fence, promote; the gateway follows by itself. Failback: heal, rejoin, switch over.
"""

from __future__ import annotations

from archlab.drills.region import REGIONS, Region
from archlab.drills.testbed import Testbed
from archlab.recovery import assessing, replication
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
        Step("fence", lambda: _fence(lost, taking)),
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


def _fence(lost: Region, taking: Region) -> str:
    lost.fence(f"{taking.name} takes over from it")
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
    back.revive()
    back.end_service()
    if not primary.server.accepting:
        return _restart(primary, back)
    if back.server.accepting and not back.server.is_primary:
        how = "follows already"
    else:
        back.fence_database(f"{primary.name} is primary, and it has to follow")
        how = _follow_again(back, primary)
    replication.wait_streaming(primary.server, [back.name])
    back.start_service()
    return f"{back.name}: {how}"


def _follow_again(back: Region, primary: Region) -> str:
    replication.expect(primary.server, back.name)
    how = back.follow_again()
    back.start_database()
    return how


def _restart(primary: Region, standby: Region) -> str:
    """Nobody took over: the lost region comes back as what it was."""
    primary.kill()
    primary.revive()
    primary.lower_fence()
    primary.start_database()
    for region in (primary, standby):
        region.start_service()
    return f"{primary.name} is back; nobody had taken over"


def _switch_over(testbed: Testbed, leaving: Region, taking: Region) -> str:
    """In order, with nothing lost: the leaving primary sends all it has before it ends."""
    if testbed.primary == taking.name:
        return f"{taking.name} is primary"
    leaving.end_service()
    replication.take_over(taking.server, leaving.name, leaving.leave())
    testbed.primary = taking.name
    _follow_again(leaving, taking)
    leaving.start_service()
    return f"{taking.name} is primary"


def _pair(testbed: Testbed, primary: Region) -> str:
    testbed.pair(primary)
    standby = testbed.other(primary.name)
    # what it kept for the other region while it was primary itself would fill its disk
    replication.drop_slot(standby.server, primary.name)
    return f"{standby.name} follows"
