"""The MTA-STS policy, over HTTPS (RFC 8461 §3.3).

In:  the policy host, its addresses as our resolver gave them, a TLS context that verifies. Out: the octets of the policy.
Fails: `NotFetched` with the state that this is, and a detail for people.
"""

import asyncio
import ssl

import httpx

from notes2conf_milter.tlscheck.facts import StsState
from notes2conf_milter.tlscheck.policies import SIZE_LIMIT
from notes2conf_milter.tlscheck.printable import printable

PATH = "/.well-known/mta-sts.txt"


class NotFetched(Exception):
    """There is no policy to be had."""

    def __init__(self, state: StsState, detail: str) -> None:
        super().__init__(detail)
        self.state, self.detail = state, detail


async def fetch(host: str, address: str, context: ssl.SSLContext, seconds: float) -> bytes:
    """GET the policy from one address of its host, under the host's name; redirects are not followed, proxies not asked."""
    netloc = f"[{address}]" if ":" in address else address
    try:
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(verify=context, trust_env=False, timeout=seconds) as client,
        ):
            extensions = {"sni_hostname": host}  # the name that the certificate has to have, too
            headers = {"Host": host, "User-Agent": "notes2conf-milter", "Accept-Encoding": "identity"}
            request = client.stream("GET", f"https://{netloc}{PATH}", headers=headers, extensions=extensions)
            async with request as response:
                return await _body(response)
    except TimeoutError:
        raise NotFetched(StsState.UNREACHABLE, "timeout") from None
    except (httpx.HTTPError, OSError, ValueError) as error:
        bad = _verification(error)
        if bad is not None:
            raise NotFetched(StsState.BAD_CERTIFICATE, printable(bad.verify_message)) from None
        raise NotFetched(StsState.UNREACHABLE, printable(str(error) or type(error).__name__)) from None


async def _body(response: httpx.Response) -> bytes:
    if response.status_code != 200:
        raise NotFetched(StsState.BAD_ANSWER, f"HTTP {response.status_code}")
    if response.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/plain":
        raise NotFetched(StsState.BAD_ANSWER, "Content-Type is not text/plain")
    body = b""
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > SIZE_LIMIT:
            raise NotFetched(StsState.BAD_ANSWER, f"more than {SIZE_LIMIT} octets")
    return body


def _verification(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return the reason behind a failed connection, when it is the certificate."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None
