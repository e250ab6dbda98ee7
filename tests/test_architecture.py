"""The house's own rules: which way imports run, who may touch the world, and that every module has its tests."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "notes2conf_milter"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Imports run one way: a module may import from its own layer and from those below it (higher numbers).
LAYERS = {
    "cli": 0,
    "demo": 1,
    "tlsreport": 3,
    "trial": 1,
    "checkup": 1,
    "onwardcheck": 2,
    "postconf": 3,
    "daemon": 2,
    "config": 3,
    "journal": 3,
    "readers": 4,
    "settings": 4,
    "templates": 4,
    "milter": 3,
    "smtp.server": 3,
    "smtp.session": 3,
    "smtp.entrance": 3,
    "smtp.relaying": 3,
    "smtp.lmtp": 3,
    "smtp.relay": 3,
    "smtp.incoming": 3,
    "web": 3,
    "mailflow": 4,
    "announcing": 5,
    "ownmail": 5,
    "smtp.reinject": 5,
    "smtp.onward": 5,
    "smtp.starttls": 5,
    "smtp.received": 5,
    "smtp.pool": 5,
    "smtp.lmtprelaying": 3,
    "smtp.xforward": 5,
    "smtp.proxyheader": 5,
    "smtp.crowd": 5,
    "smtp.client": 5,
    "services": 5,
    "tlscheck": 5,
    "dkim": 5,
    "workers": 5,
    "worker": 5,
    "store": 5,
    "sockets": 5,
    "certificate": 5,
    "address": 6,
    "core": 7,
}
# What reaches outside of the process; `core`, the milter's and the pages' own logic may not.
WORLD = {
    "socket",
    "subprocess",
    "asyncio",
    "sqlite3",
    "os",
    "pathlib",
    "time",
    "secrets",
    "random",
    "ssl",
    "shutil",
    "tempfile",
}
WORLD |= {
    "dns",
    "httpx",
    "aiosmtpd",
    "sqlite_utils",
    "uvicorn",
    "starlette",
    "threading",
    "urllib.request",
    "http.client",
    "logging",
}
PURE = ("core/", "milter/packets.py", "milter/session.py", "milter/terms.py", "milter/transaction.py", "smtp/client.py")
PURE += ("smtp/proxyheader.py", "smtp/crowd.py", "smtp/received.py")
PURE += (
    "tlsreport/page.py",
    "tlsreport/records.py",
    "services/jitsi.py",
    "services/link.py",
    "services/rooms.py",
    "services/service.py",
)
PURE += ("web/pages.py", "web/texts.py", "web/forms.py", "web/lobby.py", "web/policy.py", "web/calendar.py")
# `tls check` gathers in resolver, wire, session, fetching, anchors and check; what judges and what is said is pure.
PURE += tuple(
    f"tlscheck/{name}.py" for name in ("facts", "names", "printable", "certificates", "chains", "dane", "policies")
)
PURE += tuple(f"tlscheck/{name}.py" for name in ("judge", "findings", "words", "transcript", "report"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports name the whole way"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(name: str) -> int:
    parts = name.split(".")
    return next(LAYERS[key] for key in (".".join(parts[:2]), parts[0]) if key in LAYERS)


@pytest.mark.parametrize("path", [path for path in MODULES if dotted(path) != "__init__"], ids=dotted)
def test_imports_run_one_way(path: Path) -> None:
    """No module imports from a layer above its own."""
    for name in imports(path):
        if name.startswith("notes2conf_milter."):
            inner = name.removeprefix("notes2conf_milter.")
            assert layer(inner) >= layer(dotted(path)), f"{dotted(path)} imports {inner}"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if str(path.relative_to(PACKAGE)).startswith(PURE)], ids=dotted
)
def test_the_core_does_not_touch_the_world(path: Path) -> None:
    """Pure modules import nothing that reads a clock, draws a random number, opens a file or a socket."""
    for name in imports(path):
        assert not {name, name.split(".")[0]} & WORLD, f"{dotted(path)} imports {name}"


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__init__.py"], ids=dotted)
def test_every_module_has_a_test_file(path: Path) -> None:
    """tests/ mirrors the package: what nobody tests by name is forgotten."""
    inner = path.relative_to(PACKAGE)
    assert (ROOT / "tests" / inner.parent / f"test_{inner.name}").is_file()


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_every_module_opens_with_its_manual_page(path: Path) -> None:
    """A docstring; beyond the package files it says what comes in or out and what can fail."""
    page = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    assert page
    if path.name != "__init__.py" and "core/meeting" not in str(path):
        assert "fail" in page.lower(), f"{dotted(path)}: what can fail?"


def test_no_folder_below_the_first_level() -> None:
    """One level of folders, but for the files that pages are made of."""
    deep = [path for path in MODULES if len(path.relative_to(PACKAGE).parts) > 2]
    assert deep == []
