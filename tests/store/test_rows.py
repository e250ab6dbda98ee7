"""Rows: what was sealed opens with the mail key or a link, and nothing else of the row opens anything."""

from dataclasses import asdict, replace

import pytest

from notes2conf_milter.core.meeting import LinkKind
from notes2conf_milter.store.epoch import new_epoch
from notes2conf_milter.store.merge import News, first
from notes2conf_milter.store.rows import (
    Row,
    Secrets,
    open_for_link,
    open_for_mail,
    open_salt,
    seal_for_link,
    seal_for_mail,
    seal_salt,
)
from notes2conf_milter.store.sealing import Place, Unsealable
from tests.store.vault import BERT, END, FIRST, NOW, PAGE, ROOM, UID, numbered_tokens

TOKEN, OTHER_TOKEN = numbered_tokens()(), numbered_tokens()().replace("b", "c")
MAIL_KEY, OTHER_KEY = b"m" * 32, b"o" * 32
SECRETS = Secrets(b"r" * 32, b"p" * 32)
EPOCH = new_epoch(NOW)
PLACE = Place(7, b"u" * 32, END)
KNOWN = first(UID, News(PAGE, (BERT,), FIRST, None, END), TOKEN, OTHER_TOKEN)
ROW = Row(
    7,
    b"u" * 32,
    END,
    END,
    1,
    seal_salt(SECRETS.salt, EPOCH, PLACE),
    **seal_for_mail(KNOWN, ROOM, SECRETS, MAIL_KEY, PLACE),
)
SEALED = ("page_key_mail", "page", "room", "mail", "version")


def test_the_mail_key_opens_the_row() -> None:
    assert open_salt(ROW.salt, (new_epoch(NOW), EPOCH), PLACE) == SECRETS.salt
    assert open_for_mail(ROW, SECRETS.salt, MAIL_KEY) == (KNOWN, ROOM, SECRETS)


def test_a_link_opens_the_page_key() -> None:
    sealed = seal_for_link(SECRETS, TOKEN, LinkKind.JOIN, PLACE)
    assert open_for_link(sealed, TOKEN, LinkKind.JOIN, SECRETS.salt, PLACE) == SECRETS.page_key
    for token, kind, salt in [
        (OTHER_TOKEN, LinkKind.JOIN, SECRETS.salt),
        (TOKEN, LinkKind.START, SECRETS.salt),
        (TOKEN, LinkKind.JOIN, OTHER_KEY),
    ]:
        with pytest.raises(Unsealable):
            open_for_link(sealed, token, kind, salt, PLACE)


def test_the_salt_needs_its_epoch() -> None:
    with pytest.raises(Unsealable):
        open_salt(ROW.salt, (new_epoch(NOW),), PLACE)
    with pytest.raises(Unsealable):
        open_salt(ROW.salt, (replace(new_epoch(NOW), id=EPOCH.id),), PLACE)


@pytest.mark.parametrize("salt, key", [(OTHER_KEY, MAIL_KEY), (SECRETS.salt, OTHER_KEY)])
def test_the_mail_key_needs_the_salt_and_the_salt_the_mail_key(salt: bytes, key: bytes) -> None:
    with pytest.raises(Unsealable):
        open_for_mail(ROW, salt, key)


@pytest.mark.parametrize("column", SEALED)
@pytest.mark.parametrize("other", SEALED)
def test_no_column_opens_in_the_place_of_another(column: str, other: str) -> None:
    if column != other:
        with pytest.raises(Unsealable):
            open_for_mail(replace(ROW, **{column: asdict(ROW)[other]}), SECRETS.salt, MAIL_KEY)


@pytest.mark.parametrize("column, value", [("id", 8), ("uid_hash", b"v" * 32), ("ends_at", END + 1)])
def test_no_row_opens_in_another_place(column: str, value: object) -> None:
    moved = replace(ROW, **{column: value})
    with pytest.raises(Unsealable):
        open_for_mail(moved, SECRETS.salt, MAIL_KEY)
    with pytest.raises(Unsealable):
        open_salt(moved.salt, (EPOCH,), moved.place)


def test_the_secrets_do_not_show() -> None:
    assert repr(SECRETS) == "Secrets()"
