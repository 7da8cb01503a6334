"""Who is who: a lab's keys and its short-lived tokens (JWT, ES256; RFC 7519)."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from archlab.errors import UserError
from archlab.settings import LabFolder
from archlab.spec.policy import Subject
from archlab.spec.scenario import User

AUDIENCE = "archlab"
LIFETIME_S = 12 * 3600
LONGEST_S = 31 * 24 * 3600
"""No token that a lab makes is good for longer; one that seems to be is of a clock that was far ahead."""
RECORDER = "recorder"
"""Role of the platform alone: what it reports is believed: a decision, a finished batch run, a snapshot, a tick."""
PLATFORM = User(name="platform", team="platform", roles=("operator", RECORDER))
"""The identity of the platform's own processes."""


class TokenError(UserError):
    """A token that is missing, expired or not ours."""

    status = 401


def issuer(lab: str) -> str:
    """The `iss` claim of a lab's tokens."""
    return f"archlab/{lab}"


def create_keys(folder: LabFolder) -> None:
    """Make the keys that are missing: `jwt.pem`, `jwks.json`; `release.pem`, `signing.pem` and their `.pub.pem`.

    Idempotent. `trusted.pem` has the public keys whose signatures of models count; a new signing key is added to it.
    """
    folder.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    jwt_key, jwks = folder.keys / "jwt.pem", folder.keys / "jwks.json"
    if not (jwt_key.exists() and jwks.exists()):
        private = ec.generate_private_key(ec.SECP256R1())
        _write_private(jwt_key, private)
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private.public_key()))
        jwks.write_text(json.dumps({"keys": [{**public, "use": "sig", "alg": "ES256", "kid": "lab"}]}))
    release, release_public = folder.keys / "release.pem", folder.keys / "release.pub.pem"
    if not (release.exists() and release_public.exists()):
        key = ed25519.Ed25519PrivateKey.generate()
        _write_private(release, key)
        release_public.write_bytes(_public(key))
    _create_signing_key(folder)


def _create_signing_key(folder: LabFolder) -> None:
    """What models are signed with, ECDSA on P-256, and whom is trusted to have signed them."""
    private, public, trusted = (folder.keys / name for name in ("signing.pem", "signing.pub.pem", "trusted.pem"))
    if not (private.exists() and public.exists()):
        key = ec.generate_private_key(ec.SECP256R1())
        _write_private(private, key)
        public.write_bytes(_public(key))
        known = trusted.read_bytes() if trusted.exists() else b""
        trusted.write_bytes(known + public.read_bytes())
    elif not trusted.exists():
        trusted.write_bytes(public.read_bytes())


def mint(folder: LabFolder, user: User, *, lifetime_s: int = LIFETIME_S) -> str:
    """A signed token for a user of this lab."""
    now = int(time.time())
    claims = {
        "iss": issuer(folder.name),
        "aud": AUDIENCE,
        "sub": user.name,
        "team": user.team,
        "scope": " ".join(user.roles),
        "iat": now,
        "exp": now + lifetime_s,
        "jti": uuid.uuid4().hex,
    }
    return jwt.encode(claims, (folder.keys / "jwt.pem").read_text(), algorithm="ES256", headers={"kid": "lab"})


def write_header_file(folder: LabFolder, user: User) -> Path:
    """`tokens/<user>.header`, for `curl -H @FILE`: keeps the token out of process lists."""
    folder.tokens.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder.tokens / f"{user.name}.header"
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(f"Authorization: Bearer {mint(folder, user)}\n")
    part.replace(path)
    return path


class Verifier:
    """Checks tokens of one lab; reads its public key once."""

    def __init__(self, folder: LabFolder) -> None:
        key = json.loads((folder.keys / "jwks.json").read_text())["keys"][0]
        self._key = jwt.PyJWK(key)
        self._issuer = issuer(folder.name)

    def subject(self, token: str) -> Subject:
        """Who the token speaks for.

        Raises:
            TokenError: it is malformed, expired, for another lab, wrongly signed or good for longer than any we make.
        """
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=["ES256"],
                audience=AUDIENCE,
                issuer=self._issuer,
                # Envoy, which is asked first, does not look at `iat` either (RFC 7519: for information); a clock that
                # was set back would have it refuse every token. How long one may still be good is bounded below.
                options={"require": ["exp", "sub", "team"], "verify_iat": False},
            )
        except jwt.ExpiredSignatureError:
            raise TokenError(
                "The token has expired.", "Every archlab command renews it; or run: archlab token"
            ) from None
        except jwt.PyJWTError as error:
            raise TokenError(f"The token is not valid for this lab: {error}.", "Get one with: archlab token") from None
        if claims["exp"] > time.time() + LONGEST_S:
            raise TokenError("The token is from a clock that was far ahead.", "Get another with: archlab token")
        return Subject(user=claims["sub"], team=claims["team"], roles=tuple(str(claims.get("scope", "")).split()))


def bearer(headers: dict[str, str]) -> str:
    """The token in an Authorization header or in the cookie `archlab_token`; names in lower case.

    Raises:
        TokenError: there is none.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == "archlab_token" and value:
            return value
    raise TokenError("No token came with the request.", "Send Authorization: Bearer $(archlab token)")


def _public(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _write_private(path: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
