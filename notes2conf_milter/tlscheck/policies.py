"""What a domain publishes about its mail: MTA-STS (RFC 8461) and TLSRPT (RFC 8460).

In:  TXT records, the octets of a policy file, host names. Out: an id, a `Policy`, addresses for reports.
Fails: ValueError, in words, for a record or a policy that is not as its standard says.
"""

import re
from collections.abc import Iterable

from notes2conf_milter.tlscheck.facts import Policy
from notes2conf_milter.tlscheck.names import host_name, matches
from notes2conf_milter.tlscheck.printable import printable

SIZE_LIMIT = 65536  # octets of a policy; RFC 8461 §3.3 suggests 64 kilobytes
PATTERNS_LIMIT = 100
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_AGE_LIMIT = 31557600  # RFC 8461 §3.2: one year
_URI = re.compile(r"(mailto:[^\s,;!]+|https://[^\s,;!]+)", re.IGNORECASE)


def sts_id(records: Iterable[bytes]) -> str | None:
    """Return the id of the one MTA-STS record among TXT records; None when there is none (RFC 8461 §3.1)."""
    fields = _fields(records, "STSv1")
    if fields is None:
        return None
    if not _ID.fullmatch(fields.get("id", "")):
        raise ValueError("id is missing or not 1 to 32 letters and digits")
    return fields["id"]


def report_addresses(records: Iterable[bytes]) -> tuple[str, ...] | None:
    """Return where reports go by the one TLSRPT record among TXT records; None when there is none (RFC 8460 §3)."""
    fields = _fields(records, "TLSRPTv1")
    if fields is None:
        return None
    found = tuple(part.strip() for part in fields.get("rua", "").split(","))
    if not all(_URI.fullmatch(one) for one in found):
        raise ValueError("rua is missing or names neither mailto: nor https:")
    return found


def _fields(records: Iterable[bytes], version: str) -> dict[str, str] | None:
    ours = [one.decode("ascii", "replace") for one in records if _is_version(one, version)]
    if not ours:
        return None
    if len(ours) > 1:  # both standards: then a sender acts as if there were none
        raise ValueError(f"{len(ours)} records where one is allowed")
    pairs = (part.partition("=") for part in ours[0].split(";")[1:] if part.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _is_version(record: bytes, version: str) -> bool:
    return re.match(rf"v={version}\s*(;|$)", record.decode("ascii", "replace")) is not None


def read_policy(octets: bytes) -> Policy:
    """Read a policy file (RFC 8461 §3.2); raises ValueError."""
    values: dict[str, str] = {}
    patterns: list[str] = []
    for line in octets.decode("utf-8", "replace").replace("\r\n", "\n").split("\n"):
        name, colon, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if not line.strip():
            continue
        if not colon:
            raise ValueError(f"a line is no `key: value`: {printable(line, 60)}")
        if name == "mx":
            patterns.append(host_name(value))
        else:
            values.setdefault(name, value)  # the first one counts
    return _policy(values, patterns)


def _policy(values: dict[str, str], patterns: list[str]) -> Policy:
    if values.get("version") != "STSv1":
        raise ValueError("version is not STSv1")
    mode, age = values.get("mode", ""), values.get("max_age", "")
    if mode not in ("enforce", "testing", "none"):
        raise ValueError("mode is neither enforce, testing nor none")
    if not re.fullmatch(r"[0-9]{1,10}", age) or int(age) > _AGE_LIMIT:
        raise ValueError(f"max_age is no number of seconds up to {_AGE_LIMIT}")
    if not patterns and mode != "none":
        raise ValueError("no mx line")
    if len(patterns) > PATTERNS_LIMIT:
        raise ValueError(f"more than {PATTERNS_LIMIT} mx lines")
    return Policy(mode, int(age), tuple(printable(one) for one in patterns))


def allows(policy: Policy, host: str) -> bool:
    """Say whether an MX host is one of the policy's (RFC 8461 §4.1: a wildcard is one label, as in certificates)."""
    return any(matches(pattern, host) for pattern in policy.mx)
