"""The one expiring table of meetings, sealed: the small interface that the services use.

The mail service opens a MeetingStore, the web service a LinkStore, the timer calls `purge`, the command `key new` calls
`new_keys`.
"""

from notes2conf_milter.store.cancel import Cancelling
from notes2conf_milter.store.epoch import EpochFile
from notes2conf_milter.store.errors import StoreError, StoreSetupError, UnreadableError
from notes2conf_milter.store.keys import MailKey, load_mail_key, new_keys
from notes2conf_milter.store.links import LinkStore, OpenedMeeting
from notes2conf_milter.store.merge import News
from notes2conf_milter.store.purge import PurgeResult, purge
from notes2conf_milter.store.sqlite import Cancelled, Claim, MeetingStore, Refusal

__all__ = [
    "Cancelled",
    "Cancelling",
    "Claim",
    "EpochFile",
    "LinkStore",
    "MailKey",
    "MeetingStore",
    "News",
    "OpenedMeeting",
    "PurgeResult",
    "Refusal",
    "StoreError",
    "StoreSetupError",
    "UnreadableError",
    "load_mail_key",
    "new_keys",
    "purge",
]
