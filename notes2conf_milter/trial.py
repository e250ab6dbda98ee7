"""What a door would do with a message, without a door: for `notes2conf-milter rewrite`.

In:  settings, a message as its organizer sends it. Out: the outcome, the mails that would be written, and an explanation.
Touches: the store that the settings name. Sends nothing.
Fails: never; a store that cannot be used is a message that would be deferred.
"""

import asyncio
import email
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from notes2conf_milter import daemon
from notes2conf_milter.config import Settings
from notes2conf_milter.core.edits import ChangeHeader, Edit, InsertHeader, RemoveHeader, ReplaceBody
from notes2conf_milter.core.envelope import Door, Envelope
from notes2conf_milter.core.message import header_fields
from notes2conf_milter.core.repairs import Repair, State
from notes2conf_milter.core.signing import KeyName
from notes2conf_milter.core.verdict import EXPLANATIONS, Outcome, Reason, Verdict
from notes2conf_milter.dkim.records import Dns
from notes2conf_milter.dkim.signer import Signer
from notes2conf_milter.mailflow import MailFlow
from notes2conf_milter.smtp.reinject import Handed, Handover
from notes2conf_milter.store import StoreError
from notes2conf_milter.workers import Workers

_KIND = re.compile(r"<([a-z]+)\.")  # of our own Message-IDs
_KINDS = {
    "start": "start mail",
    "join": "join mail",
    "cancelled": "cancellation",
    "reply": "reply",
    "skipped": "why there is no link",
}


async def try_message(
    settings: Settings, message: bytes, recipients: tuple[str, ...], clock: Callable[[], int], *, write: bool
) -> tuple[Outcome, list[dict[str, str]]]:
    """Return what would become of a message, and the mails that would be written, as kind and recipient.

    recipients: of its envelope. write: compose the mails, and remember that they were; not with a store that is in use.
    """
    mails: list[dict[str, str]] = []

    async def keep(recipient: bytes, octets: bytes) -> Handover:
        kind = _KIND.match(str(email.message_from_bytes(octets)["Message-ID"]))
        mails.append({"mail": _KINDS[kind[1]] if kind else "", "to": recipient.decode("utf-8", "replace")})
        return Handover(Handed.ACCEPTED, 250)

    try:
        store = daemon.open_meetings(settings)
    except StoreError:
        return Outcome(Verdict.DEFER, Reason.STORE_UNAVAILABLE), []
    keys = settings.signing_keys()
    signer = Signer(keys, Dns(settings.dkim_resolver), hosted=settings.dkim_hosted)
    flowing = daemon.flow_settings(settings, keys)
    with ThreadPoolExecutor(1) as thread:
        work = Workers(flowing.work())
        flow = MailFlow(
            flowing,
            store,
            store_thread=thread,
            work=work,
            hand_over=(lambda *mail: asyncio.ensure_future(keep(*mail))) if write else None,
            clock=clock,
            signer=signer,
        )
        envelope = Envelope(Door.COMMAND, b"", tuple(recipient.encode() for recipient in recipients))
        outcome = await _ask(flow, envelope, message, settings.policy.conference_addresses)
        await flow.finish()
        await work.close()
        signer.close()
        thread.submit(store.close).result()
    return outcome, mails


async def _ask(flow: MailFlow, envelope: Envelope, message: bytes, conference: frozenset[str]) -> Outcome:
    recipients = {recipient.decode().lower() for recipient in envelope.recipients}
    if recipients and recipients <= conference:
        return await flow.deliver(envelope, message)
    try:
        header = message[: header_fields(message).body_start]
    except ValueError:
        header = b""
    return flow.before_body(envelope, header) or await flow.process(envelope, message)


def explanation(outcome: Outcome, mails: list[dict[str, str]]) -> dict[str, Any]:
    """Return what --explain prints: verdict, reason, a sentence, the edits without their octets, repairs, signatures, mails."""
    return {
        "verdict": outcome.verdict.value,
        "reason": outcome.reason.value,
        "explanation": EXPLANATIONS[outcome.reason],
        "edits": [_edit(edit) for edit in outcome.edits],
        "repairs": [_repair(repair) for repair in outcome.repairs],
        "signatures": [_signature(key) for key in outcome.signed],
        "mails": mails,
    }


def _repair(repair: Repair) -> dict[str, Any]:
    done = repair.state is State.DONE
    return {"repair": repair.fault.value, "done": done, "explanation": repair.explanation}


def _signature(key: KeyName) -> dict[str, str]:
    return {"domain": key.domain, "selector": key.selector, "algorithm": key.algorithm.value}


def _edit(edit: Edit) -> dict[str, Any]:
    match edit:
        case ChangeHeader(name, index, _):
            return {"edit": "change-header", "name": name.decode("ascii", "replace"), "index": index}
        case RemoveHeader(name, index):
            return {"edit": "remove-header", "name": name.decode("ascii", "replace"), "index": index}
        case InsertHeader(name, _):
            return {"edit": "insert-header", "name": name.decode("ascii", "replace")}
        case ReplaceBody(body):
            return {"edit": "replace-body", "octets": len(body)}
