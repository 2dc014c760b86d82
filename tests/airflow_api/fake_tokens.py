"""Tokens as Airflow's simple auth manager makes and checks them: HS512, known claims, a leeway of ten seconds."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

AUDIENCE = "apache-airflow"
LEEWAY = 10.0


def make_token(secret: str, user: str, role: str = "user", *, life: float = 86400.0, **claims: object) -> str:
    """A signed token; `claims` win over the usual ones."""
    now = int(time.time())
    usual = {"sub": user, "role": role, "teams": [], "jti": secrets.token_hex(16), "aud": [AUDIENCE]}
    return sign(secret, usual | {"nbf": now, "iat": now, "exp": now + int(life)} | claims)


def sign(secret: str, claims: Mapping[str, object]) -> str:
    """The claims as a token."""
    head = _pack(json.dumps({"alg": "HS512", "typ": "JWT", "kid": "not-used"}).encode())
    body = f"{head}.{_pack(json.dumps(claims).encode())}"
    return f"{body}.{_pack(_mac(secret, body))}"


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token, unchecked."""
    claims: dict[str, Any] = json.loads(_unpack(token.split(".")[1]))
    return claims


def refusal(secret: str, token: str | None) -> tuple[int, str] | None:
    """Status and text that Airflow refuses a token with; None for a good one. An expired one is the only 401 of a token."""
    if not token:
        return 401, "Not authenticated"
    body, _, mac = token.rpartition(".")
    try:
        good = hmac.compare_digest(_mac(secret, body), _unpack(mac))
        claims = claims_of(token)
    except (ValueError, IndexError):
        return 403, "Invalid JWT token"
    now = time.time()
    if not good or claims.get("nbf", 0) > now + LEEWAY:
        return 403, "Invalid JWT token"
    return (401, "Token Expired") if claims["exp"] <= now - LEEWAY else None


def _mac(secret: str, body: str) -> bytes:
    return hmac.new(secret.encode(), body.encode(), hashlib.sha512).digest()


def _pack(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
