"""One-time codes that log a browser in: the token goes into a cookie, never into an address."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

from archlab.errors import UserError

LIFETIME_S = 60.0
COOKIE = "archlab_token"


class LoginError(UserError):
    """A code that was used, has expired, or never was."""

    status = 401


class LoginCodes:
    """Codes in memory: a restart of control forgets them.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._codes: dict[str, tuple[float, str]] = {}

    def issue(self, token: str) -> str:
        """A new code that stands for this token for a minute, once."""
        code = secrets.token_urlsafe(24)
        with self._lock:
            now = self._clock()
            self._codes = {c: entry for c, entry in self._codes.items() if entry[0] > now}
            self._codes[code] = (now + LIFETIME_S, token)
        return code

    def redeem(self, code: str) -> str:
        """The code's token.

        Raises:
            LoginError: it does not hold, or no longer.
        """
        with self._lock:
            expires, token = self._codes.pop(code, (0.0, ""))
        if not token or expires <= self._clock():
            raise LoginError("This login link was used already or is older than a minute.", "Run: archlab open mlflow")
        return token


def local_path(wanted: str) -> str:
    """Where to go after login: a path of this site, nothing else."""
    safe = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable()
    return wanted if safe else "/mlflow/"
