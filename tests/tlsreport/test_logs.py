"""Where the log is, and since when."""

import stat
from pathlib import Path

import pytest

from notes2conf_milter.tlsreport import logs
from notes2conf_milter.tlsreport.logs import LogError, file_lines, journal_lines, since

NOW = 1_795_816_800.0


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("30m", NOW - 1800),
        ("12h", NOW - 12 * 3600),
        (" 7d ", NOW - 7 * 86_400),
        ("2w", NOW - 14 * 86_400),
        ("2026-11-27T21:00:00Z", NOW - 3600),
    ],
)
def test_since_when(text: str, at: float) -> None:
    assert since(text, NOW) == at


@pytest.mark.parametrize("text", ["", "7", "7y", "-7d", "yesterday", "2026-13-01", "999999d"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="7d"):
        since(text, NOW)


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\n\xfftwo\n")
    assert list(file_lines(tmp_path / "log")) == ["one\n", "\ufffdtwo\n"]
    with pytest.raises(LogError, match="cannot be read"):
        list(file_lines(tmp_path / "none such"))


def journalctl(folder: Path, script: str) -> None:
    path = folder / "journalctl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for the unit, with times that need no zone; a failure is told in journalctl's words."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    journalctl(tmp_path, 'echo "$@"; echo two')
    first, second = journal_lines("notes2conf-mail", NOW)
    assert first.startswith("-u notes2conf-mail -o short-unix --no-pager -q --since 2026-11-2") and second == "two\n"
    (first, _) = journal_lines("notes2conf-mail", None)
    assert "--since" not in first
    journalctl(tmp_path, "echo no right >&2; exit 1")
    with pytest.raises(LogError, match=r"no right.*--file"):
        list(journal_lines("notes2conf-mail", None))


def test_no_journal_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs.shutil, "which", lambda _: None)
    with pytest.raises(LogError, match="--file"):
        list(journal_lines("notes2conf-mail", None))
