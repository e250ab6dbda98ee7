"""An ARC set (RFC 8617): what we saw of the signatures of a message before we changed it, sealed with a key of ours.

In:  the results, the ARC-Message-Signature (core.signing), keys by what they do. Out: the three fields, from the bottom up.
We are always the first to seal (i=1, cv=none): a message that has a chain already gets no set of ours.
Fails: never.
"""

from collections.abc import Callable
from dataclasses import dataclass

from notes2conf_milter.core.carried import header_digest, library
from notes2conf_milter.core.signing import Unsigned

_RESULTS, _SIGNATURE, _SEAL = b"ARC-Authentication-Results", b"ARC-Message-Signature", b"ARC-Seal"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one signature (RFC 8601 §2.7.1). word: pass, fail, neutral, temperror. domain, selector: "" unknown."""

    word: str
    domain: str = ""
    selector: str = ""

    def __str__(self) -> str:
        return f"dkim={self.word}" + (f" header.d={self.domain} header.s={self.selector}" if self.domain else "")


def arc_set(
    results: tuple[Result, ...], signature: Unsigned, now: int, sign: Callable[[bytes], bytes]
) -> tuple[tuple[bytes, bytes], ...]:
    """Return names and values of the fields, folds in CRLF; the last one goes on top.

    now: seconds since 1970 UTC. sign: returns the signature of a digest with the key of `signature`.
    """
    key = signature.key
    said = "".join(f";\r\n {one}" for one in results) or ";\r\n dkim=none"
    first = (_RESULTS, f" i=1; {key.domain}{said};\r\n arc=none".encode("ascii"))
    second = (_SIGNATURE, signature.signed(sign(signature.digest)))
    value = f" i=1; a={key.algorithm.value}; cv=none; d={key.domain};\r\n s={key.selector}; t={now};\r\n b="
    policy = library().CanonicalizationPolicy.from_c_value(b"relaxed/simple")
    fields = [(name, text + b"\r\n") for name, text in (first, second)]
    names = [name.lower() for name, _ in fields]
    digest = header_digest(policy, fields, names, (_SEAL, value.encode("ascii") + b"\r\n"))
    seal = Unsigned(key, value.encode("ascii"), digest, _SEAL)
    return first, second, (_SEAL, seal.signed(sign(digest)))
