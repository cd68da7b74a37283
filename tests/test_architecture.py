"""Who may import whom, held against every module's source; and what a relay's process loads.

The tables are the rule: a module that no row covers fails, and so does a library without one.
Imports inside functions, relative ones, those for type checkers alone and those by name at run
time count like any other.

Long, because rules and cases are data.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("did", "credentials", "pds")


@dataclass(frozen=True, slots=True)
class Row:
    """What the modules of one unit may import of ours, beside each other; ``never`` wins."""

    may: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()


def row(*may: str, never: Collection[str] = ()) -> Row:
    return Row(frozenset(may), frozenset(never))


# ``package.__init__`` stands for what a package itself hands on. That of credentials loads the
# grant as soon as somebody asks it for one, so who must not know grants must not use it either.
GRANTS = ("credentials.grant", "credentials.__init__")
TALK = ("pds.messages", "pds.links", "pds.sealing", "pds.wire", "pds.mailbox", "pds.net")

RULES = {
    "did": row(),
    "credentials": row("did", never=GRANTS),
    "credentials.__init__": row("credentials"),
    "credentials.grant": row("did", "credentials", never=("credentials.__init__",)),
    "pds.__init__": row(),
    "pds.errors": row(),
    "pds.oneline": row(),
    "pds.db": row(),
    "pds.serve": row("pds.errors"),
    "pds.log": row("did", "pds.errors"),
    "pds.sealing": row("did", "pds.errors"),
    "pds.net": row("did", "pds.errors"),
    "pds.wire": row("did", "pds.errors", "pds.log"),
    "pds.messages": row("did", "credentials", "pds.errors", "pds.sealing", "pds.wire"),
    "pds.links": row("did", "credentials", "pds.errors", "pds.sealing", "pds.wire"),
    "pds.mailbox": row("did", "pds.sealing", "pds.wire", "pds.log", "pds.errors"),
    "pds.relay": row(
        "did",
        "credentials",
        "pds.wire",
        "pds.log",
        "pds.db",
        "pds.serve",
        "pds.errors",
        never=GRANTS,
    ),
    "pds.vault": row("did", "credentials", *TALK, "pds.log", "pds.db", "pds.errors", "pds.oneline"),
    "pds.company": row("did", "credentials", *TALK, "pds.log", "pds.db", "pds.errors"),
    "pds.vcapi": row("did", "credentials", never=GRANTS),
    # It knows logs and nothing of whose they are.
    "pds.witness": row("did", "pds.log", "pds.db", "pds.errors"),
    "pds.portal": row("pds.vault", "pds.messages", "pds.serve", "pds.errors"),
    "pds.cli": row("did", "credentials", "pds"),
}

# Names that a unit never touches, wherever they come from: a keyed database is the vault's alone.
NEVER_NAMED = {
    "pds.company": frozenset({"open_encrypted", "copy_encrypted", "connect_keyed"}),
    "pds.relay": frozenset({"open_encrypted", "copy_encrypted", "connect_keyed"}),
}

# Libraries, and who uses them. One that is not here is one too many.
LIBRARIES = {
    "nacl": ("did.keys", "did.agreement", "pds.vault.attachments.stream"),
    "rfc8785": ("did.json",),
    "orjson": ("did.json", "credentials.ours"),
    "pyld": ("credentials.rdfc",),
    "cbor2": ("credentials.cbor",),
    "joserfc": ("credentials.jose",),
    "cryptography": (
        "did.ecdsa",
        "did.keykinds",
        "did.mldsa",
        "pds.sealing",
        "pds.vault.wrapping",
        "pds.vault.derive",
        "pds.company.tls",
        "pds.db.firstpage",
    ),
    "http_message_signatures": ("pds.wire.library",),
    "urllib3": ("pds.net",),
    "sqlcipher3": ("pds.db",),
    "psycopg": ("pds.db.postgres",),
    "psycopg_pool": ("pds.db.postgres",),
    "prometheus_client": ("pds.relay.metrics",),
    "granian": ("pds.serve",),
    "flask": ("pds.relay", "pds.company", "pds.portal", "pds.vcapi", "pds.witness"),
    "werkzeug": ("pds.relay", "pds.company", "pds.portal", "pds.vcapi", "pds.witness"),
    "jsonschema": ("credentials.related",),
    "jsonschema_rs": ("pds.vault.schemas.rules",),
    "jsonschema_specifications": ("credentials.related",),
    "referencing": ("credentials.related",),
    "re2": ("credentials.related",),
    "mnemonic": ("pds.vault.kit",),
    "shamir_mnemonic": ("pds.vault.shares",),
    "segno": ("pds.vault.kitpage",),
    "keyring": ("pds.vault.osring",),
    "defusedxml": ("pds.vault.imports.xml_stream",),
    "tzlocal": ("pds.vault.imports.calendar_zones",),
    "click": ("pds.cli",),
    "platformdirs": ("pds.cli",),
}

# Parts of the standard library that are a way out, a way in, or known to be unsafe with input.
GUARDED = {
    "socket": ("pds.net", "pds.serve", "pds.cli.notify"),  # a word to the service manager
    "ssl": ("pds.net", "pds.serve"),
    "http": ("pds.net.errors",),
    "urllib.request": (),
    "ftplib": (),
    "smtplib": (),
    "sqlite3": (),
    "pickle": (),
    "marshal": (),
    "shelve": (),
    "xml": (),
    "subprocess": (),
}

# Who may import by a name made at run time, and why that hides nothing.
BY_NAME = {
    "credentials.__init__": "its own modules, from the table above it",
    "pds.cli.main": "the command called, from the table above it",
}

SQL = re.compile(
    r"\s*(?:(?:SELECT|INSERT|UPDATE|CREATE|ALTER|DROP|REPLACE|PRAGMA)\s|DELETE\s+FROM\b)"
)
RUNS_SQL = frozenset({"execute", "executemany", "executescript"})
# Modules outside the stores that hold SQL all the same, with the reason. None needs to.
SQL_ELSEWHERE: dict[str, str] = {}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


SOURCES = {
    name_of(path): path.read_text(encoding="utf-8")
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
KNOWN = frozenset(SOURCES) | frozenset(RULES)


def within(name: str, units: Collection[str]) -> bool:
    return any(name == unit or name.startswith(unit + ".") for unit in units)


def unit_of(module: str) -> str | None:
    """The most particular row that covers a module."""
    rows = [unit for unit in RULES if within(module, (unit,))]
    return max(rows, key=len, default=None)


def settled(name: str) -> str:
    """A package, named for what it hands on itself."""
    return f"{name}.__init__" if f"{name}.__init__" in KNOWN else name


def called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def imports(module: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every import as (line, full name); ``*`` and ``?`` stand for what cannot be told."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, settled(alias.name)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                if alias.name == "*":
                    yield node.lineno, "*"
                elif whole in KNOWN or f"{whole}.__init__" in KNOWN:
                    yield node.lineno, settled(whole)
                elif base.partition(".")[0] in PACKAGES:
                    yield node.lineno, settled(base)
                else:  # a library: from urllib import request
                    yield node.lineno, whole
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, settled(first.value) if first.value[:1] != "." else "?"
            else:
                yield node.lineno, "?"


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that a module uses, by itself, as an attribute or imported from somewhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, alias.name) for alias in node.names)


def judge(module: str, name: str) -> str | None:
    """Why a module must not import a name; None when it may."""
    unit = unit_of(module)
    rules = RULES[unit or ""]
    if name == "*":
        return "imports with a star, so nobody sees what"
    if name == "?":
        return None if module in BY_NAME else "imports by a name made at run time"
    if name.partition(".")[0] in PACKAGES:
        allowed = within(name, (unit or "", *rules.may)) and not within(name, rules.never)
        return None if allowed or module == name else f"must not import {name}"
    guarded = [part for part in GUARDED if within(name, (part,))]
    if guarded:
        return None if within(module, GUARDED[guarded[0]]) else f"must not use {name}"
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return None
    if top not in LIBRARIES:
        return f"uses {top}, a library without a row"
    return None if within(module, LIBRARIES[top]) else f"must not use {top}"


def problems(module: str, source: str) -> list[str]:
    """What is wrong with one module, as sentences with line numbers; empty when nothing is."""
    unit = unit_of(module)
    if unit is None:
        return [f"{module}: has no row in the table"]
    tree = ast.parse(source)
    found = []
    for line, name in imports(module, tree):
        reason = judge(module, name)
        if reason is not None:
            found.append(f"{module}:{line}: {reason}")
    never = NEVER_NAMED.get(unit, frozenset())
    found += [f"{module}:{line}: must not name {n}" for line, n in names(tree) if n in never]
    return found


def sql_problems(module: str, source: str) -> list[str]:
    """Where a module that is no store speaks SQL."""
    parts = module.split(".")
    if any(part.startswith("store") for part in parts) or within(module, ("pds.db",)):
        return []
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value):
            found.append(f"{module}:{node.lineno}: SQL outside a store")
        elif isinstance(node, ast.Call) and called(node) in RUNS_SQL:
            found.append(f"{module}:{node.lineno}: runs SQL outside a store")
    return found


def test_there_are_modules_to_look_at() -> None:
    """Nothing is vacuously right: every package has modules, and none lies outside the walk."""
    for package in PACKAGES:
        assert sum(within(module, (package,)) for module in SOURCES) > 5


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_imports(module: str) -> None:
    """A module imports only what its row allows."""
    assert problems(module, SOURCES[module]) == []


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_sql_is_in_stores(module: str) -> None:
    """SQL stands in stores and in pds.db, nowhere else."""
    if module not in SQL_ELSEWHERE:
        assert sql_problems(module, SOURCES[module]) == []


def test_rows_are_of_use() -> None:
    """A library or an exception that nobody needs any more is taken out of its table."""
    used = {
        name.partition(".")[0]
        for module, source in SOURCES.items()
        for _, name in imports(module, ast.parse(source))
    }
    assert sorted(set(LIBRARIES) - used) == []
    assert [m for m in SQL_ELSEWHERE if m not in SOURCES or not sql_problems(m, SOURCES[m])] == []
    for module in BY_NAME:
        assert "?" in [name for _, name in imports(module, ast.parse(SOURCES[module]))]


LOADED = """
import sys
import {module}
forbidden = ("credentials.grant", "pds.messages", "pds.vault", "pds.company", "pds.portal",
             "pds.cli", "pyld", "cbor2")
print(*sorted(m for m in sys.modules if any(m == f or m.startswith(f + ".") for f in forbidden)))
"""


def loaded_by(module: str) -> list[str]:
    """What a new process, having imported a module, holds of what a relay must not know."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOADED.format(module=module)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def test_a_relay_loads_nothing_it_must_not_know() -> None:
    """A process that imports the relay has loaded no grant, message, vault, company or PyLD."""
    assert loaded_by("pds.relay.app") == []


def test_the_process_check_bites() -> None:
    """Grant and messages are seen where they are loaded, by way of another module too."""
    assert {"credentials.grant", "pds.messages.decision"} <= set(loaded_by("pds.messages.decision"))


@pytest.mark.parametrize(
    ("module", "source", "reason"),
    [
        ("pds.relay.fake", "from credentials.grant import verify_grant", "credentials.grant"),
        ("pds.relay.fake", "from credentials import grant", "credentials.grant"),
        ("pds.relay.fake", "import credentials.grant as g", "credentials.grant"),
        ("pds.relay.fake", "from credentials import verify_grant", "credentials.__init__"),
        ("pds.relay.fake", "import credentials", "credentials.__init__"),
        ("pds.relay.fake", "from ..messages import fields", "pds.messages.fields"),
        ("pds.relay.fake", "from .. import vault", "pds.vault"),
        ("pds.relay.store.fake", "from ...vault.derive import Root", "pds.vault.derive"),
        ("pds.relay.fake", "def f():\n    import pds.company.store", "pds.company.store"),
        ("pds.relay.fake", "if TYPE_CHECKING:\n    from pds import company", "pds.company"),
        ("pds.relay.fake", "class A:\n    from pds.links import RequestLink", "pds.links"),
        ("pds.relay.fake", "from pds.sealing import seal", "pds.sealing"),
        ("pds.relay.fake", "from pds.db import open_encrypted", "must not name"),
        ("pds.relay.fake", "import pyld.jsonld", "must not use pyld"),
        ("pds.relay.__init__", "from ..vault import service", "pds.vault.service"),
        ("pds.relay.fake", "importlib.import_module('pds.vault.service')", "pds.vault.service"),
        ("pds.relay.fake", "import_module('pds.' + name)", "at run time"),
        ("pds.relay.fake", "__import__(name)", "at run time"),
        ("pds.relay.fake", "import_module('.vault', 'pds')", "at run time"),
        ("did.fake", "import credentials.proof", "credentials.proof"),
        ("did.methods.fake", "from pds.net import Transport", "pds.net"),
        ("did.fake", "import cryptography", "must not use cryptography"),
        ("did.fake", "import socket", "must not use socket"),
        ("credentials.fake", "from pds.errors import PdsError", "pds.errors"),
        ("credentials.verify", "from credentials.grant import GrantTerms", "credentials.grant"),
        ("credentials.verify", "from .grant import GrantTerms", "credentials.grant"),
        ("credentials.verify", "from . import grant", "credentials.grant"),
        ("credentials.verify", "from credentials import verify_grant", "credentials.__init__"),
        ("credentials.fake", "from pyld import jsonld", "must not use pyld"),
        ("credentials.fake", "import nacl.signing", "must not use nacl"),
        ("credentials.fake", "from urllib.request import urlopen", "urllib.request"),
        ("credentials.fake", "from urllib import request", "urllib.request"),
        ("pds.errors", "from did.errors import DidError", "did.errors"),
        ("pds.db.fake", "from pds.errors import PdsError", "pds.errors"),
        ("pds.serve.fake", "from did.json import parse", "did.json"),
        ("pds.serve.fake", "import flask", "must not use flask"),
        ("pds.log.fake", "from pds.wire import check_id", "pds.wire"),
        ("pds.sealing", "from pds.log import Receipt", "pds.log"),
        ("pds.net", "from pds.wire import check_id", "pds.wire"),
        ("pds.wire", "from pds.sealing import seal", "pds.sealing"),
        ("pds.wire", "from credentials.proof import sign_object", "credentials.proof"),
        ("pds.messages.fake", "from pds.mailbox import RelayClient", "pds.mailbox"),
        ("pds.messages.fake", "import pds.net", "pds.net"),
        ("pds.links", "from pds.db import Connection", "pds.db"),
        ("pds.mailbox", "from pds.net import Transport", "pds.net"),
        ("pds.mailbox", "from credentials.proof import sign_object", "credentials.proof"),
        ("pds.mailbox", "import urllib3", "must not use urllib3"),
        ("pds.vault.fake", "from flask import Flask", "must not use flask"),
        ("pds.vault.fake", "from werkzeug.exceptions import NotFound", "must not use werkzeug"),
        ("pds.vault.fake", "from pds.serve import serve", "pds.serve"),
        ("pds.vault.fake", "from pds.relay.app import create_app", "pds.relay.app"),
        ("pds.vault.fake", "from pds.company import store", "pds.company.store"),
        ("pds.vault.fake", "from sqlcipher3 import dbapi2", "must not use sqlcipher3"),
        ("pds.vault.fake", "import sqlite3", "must not use sqlite3"),
        ("pds.vault.imports.fake", "import vobject", "without a row"),
        ("pds.vault.imports.fake", "from xml.etree import ElementTree", "must not use xml"),
        ("pds.vault.fake", "from pds.messages.request import *", "star"),
        ("pds.vault.fake", "from pds.cli.output import Settings", "pds.cli.output"),
        ("pds.company.fake", "from pds.vault.records import Records", "pds.vault.records"),
        ("pds.company.fake", "from pds.relay.errors import Refused", "pds.relay.errors"),
        ("pds.company.fake", "from pds.serve import serve", "pds.serve"),
        ("pds.company.fake", "from pds import db\ndb.open_encrypted(path, key)", "must not name"),
        ("pds.company.fake", "from pds.db import copy_encrypted as c", "must not name"),
        ("pds.portal.fake", "from pds.relay.store import Store", "pds.relay.store"),
        ("pds.portal.fake", "from pds.db import Connection", "pds.db"),
        ("pds.cli.fake", "from flask import Flask", "must not use flask"),
        ("pds.cli.fake", "import subprocess", "must not use subprocess"),
        ("pds.__init__", "from pds.errors import PdsError", "pds.errors"),
        ("pds.vault.fake", "import pds", "pds.__init__"),
        ("pds.newroom", "", "no row"),
        ("other.module", "", "no row"),
    ],
)
def test_the_check_bites(module: str, source: str, reason: str) -> None:
    """Each kind of forbidden import is found, however it is written."""
    found = problems(module, source)
    assert len(found) == 1, found
    assert reason in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pds.relay.fake", "from credentials.ticket import verify_ticket\nfrom flask import Flask"),
        ("pds.relay.fake", "from pds.db import open_plain\nfrom pds.relay import forms"),
        ("pds.relay.fake", "import importlib\nimportlib.import_module('pds.serve')"),
        ("pds.vault.fake", "from credentials import verify_grant\nfrom .store import records"),
        ("pds.vault.files", "from pds.db import open_encrypted"),
        ("pds.vault.schemas.rules", "from jsonschema_rs import ValidationError"),
        ("pds.company.fake", "from pds.db import open_plain\nimport flask"),
        ("pds.net", "from urllib3 import exceptions\nimport socket"),
        ("pds.cli.fake", "from pds.relay.app import create_app\nimport pds.vault.service"),
        ("credentials.grant", "from credentials.proof import sign_object\nfrom . import status"),
    ],
)
def test_the_check_lets_pass(module: str, source: str) -> None:
    """What a row allows is not complained about."""
    assert problems(module, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "rows = q('SELECT a FROM b')",
        "text = f'UPDATE {table} SET a = 1'",
        "text = 'DELETE FROM b'",
        "TABLES = '''\n    CREATE TABLE b (a TEXT)\n'''",
        "conn.execute(statement)",
        "conn.executemany(statement, rows)",
    ],
)
def test_the_sql_check_bites(source: str) -> None:
    """SQL is found in a module that is no store, and is at home in one."""
    assert len(sql_problems("pds.vault.fake", source)) == 1
    assert sql_problems("pds.vault.store.fake", source) == []
    assert sql_problems("pds.company.store", source) == []
    assert sql_problems("pds.db.fake", source) == []


def test_a_method_is_not_sql() -> None:
    """Words of HTTP and of people are no statements."""
    source = "a = 'DELETE'; b = 'DELETE /v1/packages'; c = 'Create a vault'; d = 'Select one'"
    assert sql_problems("pds.mailbox", source) == []
