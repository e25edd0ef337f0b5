"""The forms in which a secret could be told without anybody noticing."""

from __future__ import annotations

import base64


def forms_of(secret: bytes | str) -> frozenset[str]:
    """As it is, in hex, in base64 of both alphabets, as Python's own text of bytes and of a list of numbers."""
    raw = secret.encode() if isinstance(secret, str) else secret
    encoded = {base64.b64encode(raw), base64.urlsafe_b64encode(raw)}
    forms = {raw.hex(), raw.hex().upper(), repr(raw)[2:-1], str(list(raw))[1:-1], raw.decode("latin-1")}
    forms |= {text.decode().rstrip("=") for text in encoded}
    return frozenset(forms | ({secret} if isinstance(secret, str) else set()))


def told(text: str, secrets: dict[str, bytes | str]) -> list[str]:
    """The names of the secrets that a text tells, each with what stands around it."""
    found = []
    for name, secret in secrets.items():
        for form in forms_of(secret):
            if (at := text.find(form)) >= 0:
                found.append(f"{name} in …{text[max(0, at - 80) : at]}[here]…")
    return found
