"""Two readers of calendars that are not ours and not icalendar: ical.js (Thunderbird) in node, and libical (Evolution, KDE).

Each gives for a text either None, where it does not parse, or its properties as a Counter: the path of components, the
name, parameters and value as the reader gives them. The properties that the gateway may change are left out.
"""

import ctypes
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ICAL_JS = Path(__file__).parents[1] / ".venv" / "node" / "package" / "dist" / "ical.js"
INSERTED = {"location", "description", "conference", "x-alt-desc", "styled-description"}
Properties = Counter[tuple[str, ...]]


def by_ical_js(texts: list[str]) -> list[Properties | None]:
    """Read all texts in one run of node."""
    script = Path(__file__).with_name("icaljs.mjs")
    done = subprocess.run(
        ["node", str(script), str(ICAL_JS)],
        input=json.dumps(texts).encode(),
        capture_output=True,
        check=True,
        timeout=300,
    )
    return [None if tree is None else Counter(_in_jcal(tree)) for tree in json.loads(done.stdout)]


def _in_jcal(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if tree and isinstance(tree[0], list):  # several calendars in one text
        for one in tree:
            yield from _in_jcal(one, path)
        return
    name, properties, components = tree
    inside = (*path, name)
    yield inside
    for property_name, parameters, kind, *values in properties:
        if not (inside[-1] == "vevent" and property_name in INSERTED):
            yield (*inside, property_name, json.dumps(parameters, sort_keys=True), kind, json.dumps(values))
    for component in components:
        yield from _in_jcal(component, inside)


_NO_VALUE = re.compile("No value for (LOCATION|DESCRIPTION)")
_FOLD = re.compile(r"\r?\n[ \t]")


def by_libical(texts: list[str]) -> list[Properties | None]:
    """Read each text, let libical write what it has understood, and take that apart; what it complains about is in it."""
    library = ctypes.CDLL("libical.so.3")
    library.icalparser_parse_string.restype = ctypes.c_void_p
    library.icalparser_parse_string.argtypes = [ctypes.c_char_p]
    library.icalcomponent_as_ical_string.restype = ctypes.c_char_p
    library.icalcomponent_as_ical_string.argtypes = [ctypes.c_void_p]
    library.icalcomponent_free.argtypes = [ctypes.c_void_p]
    found: list[Properties | None] = []
    for text in texts:
        component = library.icalparser_parse_string(text.encode())
        if not component:
            found.append(None)
            continue
        written = library.icalcomponent_as_ical_string(component)
        found.append(Counter(_in_text(written.decode("utf-8", "replace"))))
        library.icalcomponent_free(component)
    return found


def _in_text(text: str) -> Iterator[tuple[str, ...]]:
    inside: list[str] = []
    for line in _FOLD.sub("", text).splitlines():
        name = re.split("[;:]", line, maxsplit=1)[0].lower()
        if name == "end" and inside:
            inside.pop()
        # What libical says of an empty LOCATION is gone when it is filled.
        unsaid = name == "x-lic-error" and _NO_VALUE.search(line)
        if not (inside[-1:] == ["vevent"] and (name in INSERTED or unsaid)):
            yield (*inside, line)
        if name == "begin":
            inside.append(line.partition(":")[2].strip().lower())
