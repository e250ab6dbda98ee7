"""The folder of own texts: what is in it, and what stops the start."""

from pathlib import Path

import pytest

from notes2conf_milter.config import ConfigError, load
from notes2conf_milter.core.wording import WORDINGS
from notes2conf_milter.templates import FolderError, read_templates

SHIPPED = Path(__file__).parent.parent / "config" / "templates"
GOOD = 'title = "Conférence"\nplain = "{link}"\nhtml = \'<a href="{link}">Rejoindre</a>\'\n'


def folder(tmp_path: Path, **files: str) -> Path:
    """Write a folder with these files."""
    for name, text in files.items():
        (tmp_path / f"{name}.toml").write_text(text, "utf-8")
    return tmp_path


def complaint(path: Path, **options: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load(Path("/dev/null"), {"text.templates": str(path), **options})
    return str(caught.value)


def test_the_shipped_folder_is_what_is_built_in() -> None:
    """To copy it changes nothing, not one octet."""
    assert read_templates(SHIPPED) == WORDINGS


def test_a_file_makes_a_language_known(tmp_path: Path) -> None:
    """The setting may name it; a language without a file keeps what is built in."""
    path = folder(tmp_path, fr=GOOD, de=GOOD)
    settings = load(Path("/dev/null"), {"text.templates": str(path), "language": "fr"})
    assert settings.wordings["fr"] == settings.wordings["de"] != WORDINGS["de"]
    assert settings.wordings["en"] == WORDINGS["en"]
    assert set(settings.templates) == {"de", "fr"}


def test_files_that_are_none_of_it(tmp_path: Path) -> None:
    """What an editor leaves, and what explains."""
    (tmp_path / ".de.toml").write_text("x")
    (tmp_path / "README").write_text("x")
    (tmp_path / "de.toml~").write_text("x")
    assert read_templates(tmp_path) == {}


@pytest.mark.parametrize("name", ["german", "de-DE", "DE", "d", "x_y", "de.old"])
def test_a_file_name_that_is_no_language(tmp_path: Path, name: str) -> None:
    """It would never be used, and nobody would notice."""
    path = folder(tmp_path, **{name: GOOD})
    assert complaint(path) == (
        f"{path}/{name}.toml: is named after no language; allowed are two or three small letters, as de.toml"
    )


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """The file is named, and why."""
    assert complaint(tmp_path / "none") == (
        f"/dev/null: text.templates: {tmp_path}/none cannot be read (No such file or directory); allowed is a folder"
    )
    (tmp_path / "de.toml").mkdir()
    assert complaint(tmp_path) == f"{tmp_path}/de.toml: cannot be read (Is a directory)"
    (tmp_path / "de.toml").rmdir()
    (tmp_path / "de.toml").write_bytes(b"title = '\xff'")
    assert complaint(tmp_path).startswith(f"{tmp_path}/de.toml: is not TOML: 'utf-8' codec")
    (tmp_path / "de.toml").write_bytes(b"#" * 70_000)
    assert complaint(tmp_path) == f"{tmp_path}/de.toml: is too long; allowed are 65536 octets"


def test_file_key_and_what_is_allowed(tmp_path: Path) -> None:
    """What is wrong inside a file is said with the key."""
    path = folder(tmp_path, de=GOOD.replace('"{link}"\n', '"{link} {link}"\n', 1))
    assert complaint(path) == f"{path}/de.toml: plain: {{link}} stands in it 2 times; allowed is exactly one"
    folder(tmp_path, de="title = 1\ntitle = 2")
    assert complaint(path).startswith(f"{path}/de.toml: is not TOML: ")
    with pytest.raises(FolderError):
        read_templates(path)


@pytest.mark.parametrize("old", ["{link}", ">Rejoindre"])
def test_no_template_holds_the_keyword(tmp_path: Path, old: str) -> None:
    """It would be taken out of the text at the next time (law 3); where it is not taken out it is a word like any other."""
    path = folder(tmp_path, de=GOOD.replace(old, f"{old} @Meet —@meet", 1))
    assert "holds policy.keyword" in complaint(path, **{"policy.trigger": "keyword"})
    assert load(Path("/dev/null"), {"text.templates": str(path)}).templates
    spelled = folder(tmp_path, de=GOOD.replace(old, f"{old} ＠meet", 1))
    if old == "{link}":
        assert "plain: holds policy.keyword" in complaint(spelled, **{"policy.trigger": "keyword"})


def test_no_template_leads_to_another_conference(tmp_path: Path) -> None:
    """An invitation that carries it would get no link of ours."""
    path = folder(tmp_path, de=GOOD.replace("{link}", "{link} or zoom.us/j/1234567890", 1))
    assert complaint(path).startswith(f"{path}/de.toml: plain: holds a link to another conference service")
