"""Who signs: holds the keys, and asks DNS whether signatures that would break are worth anything.

In:  what core.signing prepared; candidates of core.carried; mails of our own. Out: edits, True or False, signed mails.
Keys are used in one thread, DNS is asked in a few others: the event loop does neither.
Fails: `sign` as `cryptography` does, which nobody has seen; `any_valid` never: whatever it cannot find out counts as valid.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from notes2conf_milter.core.arc import Result, arc_set
from notes2conf_milter.core.carried import Candidate, Flaw, library
from notes2conf_milter.core.edits import InsertHeader, apply
from notes2conf_milter.core.message import author, eol_of
from notes2conf_milter.core.signing import FIELD, SigningSettings, Unsigned, domain_of, unsigned
from notes2conf_milter.dkim.keys import SigningKey
from notes2conf_milter.dkim.records import NoAnswer, Records
from notes2conf_milter.dkim.verify import verifies

log = logging.getLogger("notes2conf.mail")

T = TypeVar("T")

SECONDS = 6.0  # for all signatures of one message
_ASKING = 4  # questions to DNS at the same time


class Signer:
    """The keys of the house. records: DNS; None: whatever would have to be asked counts as valid. Use within one event loop.

    seconds: how long DNS may take for one message. hosted: as in SigningSettings.
    """

    def __init__(
        self,
        keys: tuple[SigningKey, ...] = (),
        records: Records | None = None,
        seconds: float = SECONDS,
        hosted: str = "",
    ) -> None:
        self._keys = {key.name: key for key in keys}
        self._settings = SigningSettings(tuple(self._keys), hosted=hosted)
        self._records, self._seconds = records, seconds
        self._signing = ThreadPoolExecutor(1, "dkim")
        self._asking = ThreadPoolExecutor(_ASKING, "dns")
        if keys:
            library()  # takes a tenth of a second, which no mail is to pay for

    def close(self) -> None:
        """End the threads; what DNS has not answered yet is not waited for."""
        self._signing.shutdown(wait=False)
        self._asking.shutdown(wait=False, cancel_futures=True)

    async def sign(self, fields: tuple[Unsigned, ...], eol: bytes) -> tuple[InsertHeader, ...]:
        """Return the edits that put signatures into a message. eol: its line end."""
        return await self._run(partial(self._sign, fields, eol)) if fields else ()

    async def sign_mail(self, message: bytes, now: int) -> bytes:
        """Return a mail of our own, signed if there is a key for its From. now: seconds since 1970 UTC."""
        return await self._run(partial(self._sign_mail, message, now)) if self._keys else message

    async def seal(
        self, signature: Unsigned | None, seen: tuple[Candidate | Flaw, ...], now: int, eol: bytes
    ) -> tuple[InsertHeader, ...]:
        """Return the edits that put an ARC set into a message, saying what was seen. eol: the line end of the message.

        now: seconds since 1970 UTC. DNS is asked.
        """
        if signature is None:
            return ()
        results = await self._results(seen)
        sign = self._keys[signature.key].sign
        fields = await self._run(partial(arc_set, results, signature, now, sign))
        return tuple(InsertHeader(name, value.replace(b"\r\n", eol)) for name, value in fields)

    async def _results(self, seen: tuple[Candidate | Flaw, ...]) -> tuple[Result, ...]:
        words = {one: "temperror" for one in seen if isinstance(one, Candidate)}
        loop, records = asyncio.get_running_loop(), self._records
        if records is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    for one in words:
                        words[one] = await loop.run_in_executor(self._asking, self._word, records, one)
        return tuple(
            Result(one.value) if isinstance(one, Flaw) else Result(words[one], one.domain, one.selector) for one in seen
        )

    async def any_valid(self, candidates: tuple[Candidate, ...]) -> bool:
        """Say whether one of some signatures is valid, or may be: what DNS does not say in time counts so."""
        if self._records is None:
            return bool(candidates)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._seconds):
                for one in candidates:
                    if await loop.run_in_executor(self._asking, self._valid, self._records, one):
                        return True
        except TimeoutError:
            log.warning("dkim: DNS does not answer in time; a signature that was not checked counts as valid")
            return True
        return False

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._signing, call)

    def _sign(self, fields: tuple[Unsigned, ...], eol: bytes) -> tuple[InsertHeader, ...]:
        signed = [InsertHeader(FIELD, one.signed(self._keys[one.key].sign(one.digest), eol)) for one in fields]
        return tuple(reversed(signed))  # each goes above the one before: the first key's ends up on top

    def _sign_mail(self, message: bytes, now: int) -> bytes:
        settings = self._settings
        keys = settings.keys_for(domain_of(author(message))) or settings.keys_for(settings.hosted)
        return apply(message, self._sign(unsigned(message, keys, now), eol_of(message)))

    @staticmethod
    def _word(records: Records, one: Candidate) -> str:
        try:
            return "pass" if any(verifies(one, record) for record in records.txt(one.record)) else "fail"
        except NoAnswer:
            return "temperror"

    @staticmethod
    def _valid(records: Records, one: Candidate) -> bool:
        try:
            return any(verifies(one, record) for record in records.txt(one.record))
        except NoAnswer as error:
            log.warning("dkim: DNS cannot say (%s); a signature that was not checked counts as valid", error)
            return True
