"""The folder of an administrator's own wordings: one TOML file for each language.

In:  a folder. Out: wordings by language.
Fails: `FolderError` with the file, the key and what is allowed (core.template says what that is).
"""

import re
from pathlib import Path

from notes2conf_milter.core.template import TemplateError, wording_from
from notes2conf_milter.core.wording import Wording

_LANGUAGE = re.compile(r"[a-z]{2,3}")  # RFC 5646 §2.2.1, as core.language reads it
_MOST_OCTETS = 65_536


class FolderError(Exception):
    """A folder of templates that is not used. file: None for the folder itself; key: "" for the whole file."""

    def __init__(self, file: Path | None, key: str, problem: str) -> None:
        super().__init__(problem)
        self.file, self.key, self.problem = file, key, problem


def read_templates(folder: Path) -> dict[str, Wording]:
    """Return the wordings of every *.toml in a folder, by language; raises FolderError. Hidden files are passed over."""
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))
    except OSError as error:
        raise FolderError(None, "", f"{folder} cannot be read ({error.strerror}); allowed is a folder") from None
    return {_language(path): _wording(path) for path in files}


def _language(path: Path) -> str:
    if not _LANGUAGE.fullmatch(path.stem):
        raise FolderError(path, "", "is named after no language; allowed are two or three small letters, as de.toml")
    return path.stem


def _wording(path: Path) -> Wording:
    try:
        with path.open("rb") as file:
            octets = file.read(_MOST_OCTETS + 1)
        if len(octets) > _MOST_OCTETS:
            raise FolderError(path, "", f"is too long; allowed are {_MOST_OCTETS} octets")
        return wording_from(octets.decode("utf-8"))
    except OSError as error:
        raise FolderError(path, "", f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise FolderError(path, "", f"is not TOML: {error}") from None
    except TemplateError as error:
        raise FolderError(path, error.key, error.problem) from None
