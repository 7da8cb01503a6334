"""Postgres refuses to run as root: for root, its programs run in a user namespace, in which the files are a user's."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache

from archlab.errors import UserError

USER = "1000"
"""Any id but 0: on disk the files stay the caller's."""


def command(argv: Sequence[str]) -> list[str]:
    """The command as it is run: unchanged, unless we are root.

    Raises:
        UserError: we are root, and the system has no user namespaces.
    """
    return [*_namespace(), *argv] if os.geteuid() == 0 else list(argv)


@cache
def _namespace() -> tuple[str, ...]:
    program = shutil.which("unshare")
    made = (program, "--user", f"--map-user={USER}") if program else ()
    if not made or subprocess.run([*made, "true"], capture_output=True, check=False).returncode:
        raise UserError(
            "Postgres refuses to run as root, and this system lets nobody make a user namespace.",
            "Run archlab as a user that is not root.",
        )
    return made
