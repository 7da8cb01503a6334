"""Takes files from the other region over the line: piece by piece, compared with their digest, renamed when whole.

What was begun goes on where it was, after a cut line and after the end of this process.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, urlencode

from pydantic import ValidationError

from archlab.errors import UnavailableError
from archlab.recovery.copying.catalogue import LOG, Entry, Listing, below
from archlab.recovery.copying.service import HOST
from archlab.spec.regions import Part

SILENCE_S = 15.0
"""So long nothing may arrive: a line brings 64 KiB at a time, however slow it is."""
PIECE = 64 << 10


class Source:
    """The other region's files, as they are reached over the line.

    Args:
        name: the other region's.
        port: of the line.
        password: file with what lets us in.
        silence_s: so long nothing may arrive.
    """

    def __init__(self, name: str, port: int, password: Path, silence_s: float = SILENCE_S) -> None:
        self.name = name
        self._silence_s = silence_s
        self._port = port
        self._password = password

    def listing(self, part: Part) -> Listing:
        """A part's files.

        Raises:
            UnavailableError: the other region does not answer, or is not primary and has nothing to hand out.
        """
        status, body = self._ask(f"/listing/{part.value}", self._silence_s)
        try:
            return Listing.model_validate_json(body if status == HTTPStatus.OK else b"")
        except ValidationError:
            said = body.decode(errors="replace").rstrip(".") or f"answers {status}"
            raise UnavailableError(f"{self.name} does not say what it has of the {part.value}: {said}.") from None

    def changed(self, part: Part, have: str, wait_s: float) -> bool:
        """Whether a part has other files than those of a digest; waits for it. Raises as `listing` does."""
        target = f"/listing/{part.value}?{urlencode({'have': have, 'wait_s': wait_s})}"
        return self._ask(target, self._silence_s + wait_s)[0] != HTTPStatus.NO_CONTENT

    def fetch(self, entry: Entry, root: Path) -> int:
        """A file, into its place; how many bytes came over the line.

        Raises:
            UnavailableError: the other region does not answer, or what came is not what it announced. What came of it
                stays, and the next call goes on.
        """
        place = below(root, entry.path)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.{entry.sha256[:16]}.part")
        if not part.exists() and _grows_from(place, entry):
            shutil.copyfile(place, part)
        begun = part.stat().st_size if part.exists() else 0
        if begun > entry.size_bytes:
            part.unlink()
            begun = 0
        if begun < entry.size_bytes:
            self._append(part, entry, begun)
        elif not entry.size_bytes:
            part.touch(mode=0o600)
        if hashlib.sha256(part.read_bytes()).hexdigest() != entry.sha256:
            part.unlink()
            raise UnavailableError(f"{entry.path} came from {self.name} as something else than was announced.")
        os.utime(part, (entry.written, entry.written))
        part.replace(place)
        return entry.size_bytes - begun

    def _append(self, part: Path, entry: Entry, begun: int) -> None:
        piece = {"Range": f"bytes={begun}-{entry.size_bytes - 1}"}
        connection = self._connection(self._silence_s)
        try:
            connection.request("GET", f"/files/{quote(entry.path)}", headers={**self._headers(), **piece})
            answer = connection.getresponse()
            if answer.status != HTTPStatus.PARTIAL_CONTENT:
                raise UnavailableError(f"{self.name} does not hand over {entry.path}: {answer.status}.")
            with part.open("ab") as file:
                while data := answer.read1(PIECE):
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"{self.name} does not answer: {error}.") from None
        finally:
            connection.close()
        if part.stat().st_size != entry.size_bytes:
            raise UnavailableError(f"The line to {self.name} broke in {entry.path}.")

    def _ask(self, target: str, patience_s: float) -> tuple[int, bytes]:
        connection = self._connection(patience_s)
        try:
            connection.request("GET", target, headers=self._headers())
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(f"{self.name} does not answer: {error or 'silence'}.") from None
        finally:
            connection.close()

    def _connection(self, patience_s: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(HOST, self._port, timeout=patience_s)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._password.read_text().strip()}"}


def _grows_from(place: Path, entry: Entry) -> bool:
    """Whether what is here already may be the beginning of what comes."""
    return place.suffix == LOG and place.exists() and 0 < place.stat().st_size < entry.size_bytes
