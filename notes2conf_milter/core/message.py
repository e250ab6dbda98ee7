"""A message as spans of its octets: header fields, body, MIME parts. Nothing is decoded here and nothing is lost."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One header field (RFC 5322 §2.2) as spans: name, then colon, then value with folds, without the final line end."""

    name: bytes
    start: int
    value_start: int
    value_end: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """The header section: its fields, and where the body begins."""

    fields: tuple[Field, ...]
    body_start: int


def header_fields(message: bytes) -> Header:
    raise NotImplementedError
