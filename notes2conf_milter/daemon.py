"""Wiring and life cycle of the services: what is opened, in which order, and how it ends.

In:  `Settings`. Out: servers that run until SIGTERM or SIGINT; purge runs once.
Fails: ConfigError and StoreSetupError (set up wrong) before anything listens; OSError where a socket cannot be had.
"""

import asyncio
import contextlib
import grp
import logging
import os
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from notes2conf_milter.address import InetAddress, UnixAddress
from notes2conf_milter.certificate import Certificate, CertificateError
from notes2conf_milter.config import ConfigError, Settings
from notes2conf_milter.core.letter import letter_language
from notes2conf_milter.core.tlsrecord import TlsLog
from notes2conf_milter.dkim.keys import SigningKey
from notes2conf_milter.dkim.records import Dns
from notes2conf_milter.dkim.signer import Signer
from notes2conf_milter.mailflow import FlowSettings, MailFlow, Note
from notes2conf_milter.milter.server import Limits as MilterLimits
from notes2conf_milter.milter.server import MilterServer
from notes2conf_milter.smtp.onward import Level, NextHop, local
from notes2conf_milter.smtp.pool import Pool
from notes2conf_milter.smtp.reinject import Handover, hand_over
from notes2conf_milter.smtp.relay import Limits as SmtpLimits
from notes2conf_milter.smtp.server import SmtpServer
from notes2conf_milter.store import EpochFile, LinkStore, MeetingStore, StoreError, load_mail_key
from notes2conf_milter.worker import give_back_large_blocks
from notes2conf_milter.workers import Workers

log = logging.getLogger("notes2conf")
mail_log = logging.getLogger("notes2conf.mail")

MOST_FILES = 32_768
OTHER_FILES = 128  # the database, the log, sockets that listen, connections to services
REMIND_SECONDS = 6 * 3600.0  # between two looks for series that are about to be deleted
SUMMARY_SECONDS = 3600.0
START_MAIL_SECONDS = 30.0
GRACE_SECONDS = 20.0  # how long messages under way may take when the service stops; systemd waits 90


def now() -> int:
    """Return the time, seconds since 1970 UTC."""
    return int(time.time())


def open_meetings(settings: Settings) -> MeetingStore:
    """Open the store as the mail service does; raises StoreSetupError."""
    return MeetingStore(settings.database, EpochFile(settings.keys_epoch), load_mail_key(settings.keys_mail))


def open_links(settings: Settings) -> LinkStore:
    """Open the store as the waiting room does, without the mail key; raises StoreSetupError."""
    return LinkStore(settings.database, EpochFile(settings.keys_epoch))


def flow_settings(settings: Settings, keys: tuple[SigningKey, ...] = ()) -> FlowSettings:
    """Return what the flow needs; base_url must be set. keys: those of DKIM."""
    return FlowSettings(
        base_url=settings.base_url or "",
        policy=settings.policy,
        language=settings.language,
        message_octets=settings.limits_message_octets,
        series_seconds=settings.retention_open_series_days * 86400,
        grace_seconds=settings.retention_grace_seconds,
        own_mail_from=settings.start_mail_from,
        defer_without_store=settings.defer_without_store,
        meetings_per_hour=settings.limits_meetings_per_hour,
        attendee_links=settings.attendee_links,
        reply=settings.conference_reply,
        repairs=settings.repairs,
        tls=settings.tls,
        tls_log=settings.tls_log,
        wordings=settings.wordings,
        signing=settings.signing(keys),
        mark_links=settings.tls_mark_links,
    )


@asynccontextmanager
async def mail_service(
    settings: Settings, note: Note = logging.Logger.info
) -> AsyncIterator[list[UnixAddress | InetAddress]]:
    """Run the doors inside the block; yields where they listen. Messages under way end before it is left.

    note: writes the log line of each message.
    """
    settings.need("base_url", settings.base_url, "mail")
    settings.need("policy.organizer_domains", settings.policy.organizer_domains, "mail")
    some = settings.milter_listen or settings.smtp_listen or settings.conference_listen
    settings.need("milter.listen", some, "mail (or smtp.listen, --smtp)")
    keys = settings.signing_keys()
    store = open_meetings(settings)
    signer = Signer(keys, Dns(settings.dkim_resolver), hosted=settings.dkim_hosted)

    next_hop, relay = load_next_hop(settings), load_start_mail_relay(settings)

    def announce(recipient: bytes, message: bytes) -> "asyncio.Future[Handover]":
        # RFC 3834 §3.3: nobody answers or bounces to a machine
        return asyncio.ensure_future(hand_over(relay, b"", recipient, message, timeout=START_MAIL_SECONDS))

    flowing = flow_settings(settings, keys)
    work = Workers(flowing.work())
    with ThreadPoolExecutor(1, "store") as store_thread:
        flow = MailFlow(
            flowing,
            store,
            store_thread=store_thread,
            work=work,
            hand_over=announce,
            clock=now,
            note=note,
            signer=signer,
        )
        async with contextlib.AsyncExitStack() as doors:
            doors.callback(signer.close)
            doors.push_async_callback(work.close)
            doors.push_async_callback(flow.finish)
            reminding = asyncio.create_task(_remind(flow), name="remind")
            doors.callback(reminding.cancel)
            if settings.tls_log is TlsLog.SUMMARY:
                summing = asyncio.create_task(_sum_up(flow, note), name="tls-summary")
                doors.callback(_log_summary, flow, note)
                doors.callback(summing.cancel)
            listening: list[UnixAddress | InetAddress] = []
            for address in settings.milter_listen:
                listening += await _milter_door(doors, settings, address, flow)
            if settings.smtp_listen is not None and next_hop is not None:
                listening += await _smtp_door(doors, settings, settings.smtp_listen, next_hop, flow)
            if settings.conference_listen is not None:
                listening += await _conference_address(doors, settings, settings.conference_listen, flow)
            yield listening
        store_thread.submit(store.close).result()


async def _remind(flow: MailFlow) -> None:
    """Look once in a while for series without an end that are about to be deleted."""
    while True:
        await asyncio.sleep(REMIND_SECONDS)
        try:
            told = await flow.remind()
        except StoreError as error:
            log.error("store: %s", error)
        else:
            if told:
                log.info("series without an end: %d organizers told", told)


async def _sum_up(flow: MailFlow, note: Note) -> None:
    """Log once in a while how messages came."""
    while True:
        await asyncio.sleep(SUMMARY_SECONDS)
        _log_summary(flow, note)


def _log_summary(flow: MailFlow, note: Note) -> None:
    for line in flow.tls_summary():
        note(mail_log, line)


async def _milter_door(
    doors: contextlib.AsyncExitStack, settings: Settings, address: UnixAddress | InetAddress, flow: MailFlow
) -> list[UnixAddress | InetAddress]:
    door = MilterServer()
    limits = MilterLimits(
        message=settings.limits_message_octets,
        idle=settings.limits_idle_seconds,
        processing=settings.limits_processing_seconds,
    )
    mode, group = socket_access(settings)
    with _naming("milter.listen", address):
        await door.start(address, flow, limits=limits, socket_mode=mode, socket_group=group)
    doors.push_async_callback(door.close, GRACE_SECONDS)
    return door.addresses


def socket_access(settings: Settings) -> tuple[int | None, int | None]:
    """Return the permissions and the group's id of a milter socket; None leaves one as it comes.

    Started by root with nothing set, the socket is for the group postfix, in which Postfix's smtpd and cleanup run.
    """
    if settings.milter_socket_mode is not None or os.geteuid() != 0:
        return settings.milter_socket_mode, None
    try:
        return 0o660, grp.getgrnam("postfix").gr_gid
    except KeyError:
        return None, None


def _smtp_limits(settings: Settings) -> SmtpLimits:
    return SmtpLimits(
        message=settings.limits_message_octets,
        idle=min(300, settings.limits_idle_seconds),  # RFC 5321 §4.5.3.2.7
        processing=settings.limits_processing_seconds,
    )


async def _conference_address(
    doors: contextlib.AsyncExitStack, settings: Settings, listen: UnixAddress | InetAddress, flow: MailFlow
) -> list[UnixAddress | InetAddress]:
    door = SmtpServer(settings.smtp_bounds)
    mode, group = socket_access(settings)
    with _naming("conference.listen", listen):
        await door.start_conference(
            listen,
            flow,
            settings.policy.conference_addresses,
            peers=settings.smtp_peers,
            hostname=settings.smtp_hostname,
            limits=_smtp_limits(settings),
            socket_mode=mode,
            socket_group=group,
            xforward_peers=settings.smtp_xforward_peers,
            filters_enforce=settings.tls_filters_enforce,
        )
    doors.push_async_callback(door.close, GRACE_SECONDS)
    return door.addresses


async def _smtp_door(
    doors: contextlib.AsyncExitStack, settings: Settings, listen: InetAddress, next_hop: NextHop, flow: MailFlow
) -> list[UnixAddress | InetAddress]:
    door = SmtpServer(settings.smtp_bounds)
    limits = _smtp_limits(settings)
    pool = Pool(next_hop, limits.connect, limits.reply)
    doors.push_async_callback(pool.close)
    certificate = load_smtp_certificate(settings)
    if certificate is not None:
        keeping = asyncio.create_task(certificate.keep(), name="smtp-certificate")
        doors.callback(keeping.cancel)
    listeners = [("smtp.listen", listen, False)]
    if settings.smtp_listen_tls is not None:
        listeners.append(("smtp.listen_tls", settings.smtp_listen_tls, True))
    doors.push_async_callback(door.close, GRACE_SECONDS)
    for key, address, implicit in listeners:
        with _naming(key, address.netloc):
            await door.start(
                address,
                pool,
                flow,
                peers=settings.smtp_peers,
                hostname=settings.smtp_hostname,
                limits=limits,
                xforward_peers=settings.smtp_xforward_peers,
                filters_enforce=settings.tls_filters_enforce,
                tls=None if certificate is None else certificate.context,
                implicit=implicit,
                strays=settings.smtp_bare_newlines,
                lmtp=settings.smtp_lmtp,
                proxy_peers=settings.smtp_proxy_peers,
            )
    return door.addresses


@asynccontextmanager
async def web_service(settings: Settings) -> AsyncIterator[InetAddress]:
    """Run the waiting room inside the block; yields where it listens."""
    from notes2conf_milter.web.server import (
        WebServer,
        WebSettings,
        create_app,
    )  # 8 MB that the mail service does without

    settings.need("base_url", settings.base_url, "web")
    services = settings.offered()
    settings.check_logo()
    web_settings = WebSettings(
        settings.base_url or "",
        letter_language(settings.language),
        grace=settings.retention_grace_seconds,
        admission=settings.web_admission,
        hands_on_names=settings.services_pass_names,
        house=settings.web_house,
        contact=settings.web_contact,
        imprint_url=settings.web_imprint_url,
        accent=settings.web_accent,
        logo=settings.web_logo,
        trusted_proxies=settings.web_trusted_proxies,
        max_connections=most_connections(),
        guests_per_network=settings.web_guests_per_network,
        strict_transport=settings.web_tls_certificate is not None,
    )
    certificate = load_certificate(settings)
    app = create_app(web_settings, open_links(settings), services, now)
    server = WebServer()
    with _naming("web.listen", settings.web_listen.netloc):
        await server.start(settings.web_listen, app, web_settings, certificate)
    try:
        yield server.address
    finally:
        await server.close(GRACE_SECONDS)


@contextlib.contextmanager
def _naming(key: str, address: object) -> Iterator[None]:
    """Let an OSError inside the block say which setting it is about, in place of the path or the system's own words."""
    try:
        yield
    except socket.gaierror as error:
        raise OSError(error.errno, error.strerror, f"{key} {address}") from error
    except OSError as error:
        why = os.strerror(error.errno) if error.errno is not None else str(error)
        raise OSError(error.errno, why, f"{key} {address}") from error


def load_next_hop(settings: Settings) -> NextHop | None:
    """Return where the SMTP door hands mail on, None where there is no such place; raises ConfigError."""
    if settings.smtp_next_hop is None:
        return None
    given = settings.smtp_next_hop_name, settings.smtp_next_hop_lmtp
    return _next_hop(settings, settings.smtp_next_hop, settings.smtp_next_hop_tls, *given)


def load_start_mail_relay(settings: Settings) -> NextHop:
    """Return where own mails are handed on; raises ConfigError. The way there is encrypted like that to smtp.next_hop."""
    relay = settings.start_mail_relay
    if relay == settings.smtp_next_hop:
        return _next_hop(settings, relay, settings.smtp_next_hop_tls, settings.smtp_next_hop_name)
    if local(relay):
        return _next_hop(settings, relay, Level.NONE)
    level = settings.smtp_next_hop_tls
    return _next_hop(settings, relay, Level.MAY if level is Level.NONE else level)


def _next_hop(settings: Settings, address: InetAddress, level: Level, name: str = "", lmtp: bool = False) -> NextHop:
    try:
        return NextHop(
            address,
            settings.smtp_hostname,
            lmtp=lmtp,
            level=level,
            authorities=settings.smtp_next_hop_ca,
            name=name,
            resolver=settings.smtp_next_hop_resolver,
        )
    except ValueError as error:
        raise ConfigError(settings.source, "smtp.next_hop_ca", str(error)) from None


def load_certificate(settings: Settings) -> Certificate | None:
    """Return the waiting room's certificate, None where a proxy has one; raises ConfigError."""
    return _load(settings, "web.tls_certificate", settings.web_tls_certificate, settings.web_tls_key, ("http/1.1",))


def load_smtp_certificate(settings: Settings) -> Certificate | None:
    """Return the SMTP door's certificate, None where it offers no TLS; raises ConfigError."""
    given = settings.smtp_tls_certificate, settings.smtp_tls_key
    return _load(settings, "smtp.tls_certificate", *given, client_ca=settings.smtp_client_ca)


def _load(
    settings: Settings,
    name: str,
    certificate: Path | None,
    key: Path | None,
    protocols: Sequence[str] = (),
    client_ca: Path | None = None,
) -> Certificate | None:
    if certificate is None or key is None:
        return None
    try:
        return Certificate(certificate, key, protocols, client_ca)
    except CertificateError as error:
        raise ConfigError(settings.source, name, str(error)) from None


def most_connections() -> int:
    """Return how many connections the waiting room takes: each guest who waits holds one, and each is an open file.

    The limit of open files is raised as far as the system lets us (systemd: LimitNOFILE).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return max(most - OTHER_FILES, most // 2)


async def run_mail(settings: Settings, note: Note = logging.Logger.info) -> None:
    """Run the mail service until SIGTERM or SIGINT. note: writes the log line of each message."""
    give_back_large_blocks()
    stopped = stop_signals()
    async with mail_service(settings, note) as listening:
        log.info("mail: listening on %s", ", ".join(map(str, listening)))
        await until(stopped)
        log.info("mail: stopping")


async def run_web(settings: Settings) -> None:
    """Run the waiting room until SIGTERM or SIGINT."""
    stopped = stop_signals()
    async with web_service(settings) as address:
        log.info("web: listening on %s", address.netloc)
        await until(stopped)
        log.info("web: stopping")


def stop_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set, from now on: also one that comes while the service starts is not lost."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    return stopped


async def until(stopped: asyncio.Event) -> None:
    """Tell systemd that we are ready, and return when the service is to stop."""
    _notify(b"READY=1")
    await stopped.wait()
    _notify(b"STOPPING=1")


def _notify(state: bytes) -> None:
    """Send a state to systemd (sd_notify(3)); nothing happens where nobody listens."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        notifier.sendto(state, "\0" + path[1:] if path.startswith("@") else path)


def run(service: Coroutine[Any, Any, None]) -> None:
    """Run a service on uvloop where that is installed, else on asyncio's own loop."""
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(service)


def make_folder(path: Path) -> None:
    """Make a state folder that only its owner and group can enter; one that is there stays as it is."""
    path.mkdir(mode=0o770, parents=True, exist_ok=True)
