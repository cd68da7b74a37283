"""The examples of the protocol document, and the README's own lines, are true."""

import ast
import importlib.util
import re
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

from credentials.grant import verify_grant
from credentials.presentation import verify_presentation
from credentials.proof import verify_object
from credentials.status import verify_stamp, verify_status_list
from credentials.ticket import verify_ticket
from credentials.webvh import PROOFS
from did.identifier import Did
from did.json import JsonObject, canonicalize, digest, parse_object
from did.methods.webvh import read_history, url_of
from did.multikey import b64url_encode
from did.resolve import OFFLINE, Resolver
from pds.log.entry import verify_receipt
from pds.messages.message import Message
from pds.messages.package import Package, verify_manifest
from pds.messages.request import verify_request
from pds.messages.succession import verify_line

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "examples"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pds_examples", FOLDER / "make.py")
    if spec is None or spec.loader is None:
        pytest.fail("the examples' program is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


make = _load()
NAMES = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem != "terms")


@pytest.fixture(scope="module")
def built() -> dict[str, JsonObject]:
    return make.Examples().build()


def read(name: str) -> JsonObject:
    return parse_object((FOLDER / f"{name}.json").read_bytes())


def test_the_files_are_what_the_program_makes(built: dict[str, JsonObject]) -> None:
    """Nothing is missing, nothing is stale."""
    assert sorted(built) == NAMES
    for name, value in built.items():
        assert (FOLDER / f"{name}.json").read_text() == make.text_of(value), name


def test_every_example_verifies() -> None:
    """Each object holds under the check that its receiver makes."""
    now, holder = make.NOW, make.Examples().holder.did
    log_key = make.Examples().log.verify_key
    web = Resolver(fetch=lambda _url: canonicalize(read("did")))
    request = verify_request(canonicalize(read("access-request")), resolver=web, now=now)
    grant = verify_grant(
        read("access-grant"),
        purpose="https://w3id.org/dpv#DeliveryOfGoods",
        audience="did:web:shop.example",
        status=canonicalize(read("status-list")),
        now=now,
    )
    assert grant.terms.request == request.digest
    ticket = verify_ticket(read("redemption-ticket"), now=now, expected_relay=make.RELAY)
    assert ticket.grant_digest == grant.digest
    listed = verify_status_list(
        read("status-list"), now=now, expected_issuer=holder, expected_url=grant.status.list_url
    )
    verify_stamp(read("status-stamp"), log_key=log_key, expected_digest=listed.digest, now=now)
    manifest = verify_manifest(read("manifest"), issuer=holder, now=now)
    assert manifest.ticket == ticket.digest
    redeemed = verify_presentation(
        read("redemption"),
        expected_challenge=b64url_encode(make.secret("challenge")),
        expected_domain=make.RELAY,
        now=now,
    )
    receipt = verify_receipt(read("receipt"), origin=make.ORIGIN, log_key=log_key).receipt
    assert receipt.entry["redemption"] == redeemed.digest == digest(read("redemption"))
    for name in ("access-denial", "package", "message"):
        verify_object(
            read(name), resolver=OFFLINE, now=now, expected_controller=holder, exact_context=()
        )
    later = now + timedelta(days=1)
    new = str(read("did-change")["to"])
    assert [c.old for c in verify_line([read("did-change")], sender=new, now=later)] == [holder]
    entry = read("identity-entry")
    did = Did.parse(str(entry["state"]["id"]))  # type: ignore[index,call-overload]
    history = read_history(canonicalize(entry) + b"\n", did, proofs=PROOFS, now=now)
    assert str(history.at().document.id) == str(did)
    assert url_of(did) == f"{make.RELAY}/identities/{make.short_id('identity')}/did.jsonl"
    assert Package.parse(read("package")).grant == grant.digest
    assert Message.parse(read("message")).thread == request.request.id


def _verify_from_files(block: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run lines that verify a grant and its status list from files, at the examples' own time."""
    for name, example in (("grant", "access-grant"), ("status-list", "status-list")):
        (folder / f"{name}.json").write_text((FOLDER / f"{example}.json").read_text())
    monkeypatch.chdir(folder)
    from credentials import verify_grant as really

    def at_its_time(*args: object, **more: object) -> object:
        return really(*args, now=make.NOW + timedelta(days=1), **more)  # type: ignore[arg-type]

    code = block.replace("from credentials import verify_grant", "")
    exec(compile(code, "example", "exec"), {"verify_grant": at_its_time})


def test_the_readmes_lines_verify_a_grant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the README shows runs as it stands."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    _verify_from_files(blocks[0], tmp_path, monkeypatch)
    assert "contact.name" in capsys.readouterr().out
    exec(compile(blocks[1], "README.md", "exec"), {})
    assert "A. Person" in capsys.readouterr().out


def test_every_folder_of_vectors_is_accounted_for(vectors: Path) -> None:
    """What is left out is left out with a reason, and not forgotten."""
    table = (ROOT / "docs" / "conformance.md").read_text()
    folders = [path.name for path in vectors.iterdir() if path.is_dir()]
    assert folders
    assert [name for name in folders if f"`{name}`" not in table] == []


def test_the_guide_s_lines_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each block of docs/verify.md, as it stands; the first has five statements."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/verify.md").read_text(), re.DOTALL)
    assert len(blocks) == 4
    assert len(ast.parse(blocks[0]).body) == 5
    _verify_from_files(blocks[0], tmp_path, monkeypatch)
    assert "contact.name" in capsys.readouterr().out
    names: dict[str, object] = {}
    exec(compile(blocks[1], "verify.md", "exec"), names)
    assert "A ecdsa-rdfc-2019" in capsys.readouterr().out
    exec(compile(blocks[2], "verify.md", "exec"), {})
    exec(compile(blocks[3], "verify.md", "exec"), names)  # it goes on from the second


def test_every_code_is_explained() -> None:
    """The guide's table has each code that the sources can raise, and no other."""
    sources = [path for name in ("credentials", "did") for path in (ROOT / name).rglob("*.py")]
    raised = set().union(*(_codes(ast.parse(path.read_text("utf-8"))) for path in sources))
    guide = (ROOT / "docs/verify.md").read_text("utf-8")
    listed = re.findall(r"^\| `([a-z_.0-9]+)` \|", guide, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert raised - set(listed) == set()
    assert set(listed) - raised == set()


# The first half of a code, and the whole; a file's name ends otherwise.
_AREA = re.compile(r"[a-z_]+\.")
_CODE = re.compile(
    r"(context|credential|did|encoding|grant|jose|json|key|policy|presentation|proof|rdfc|related"
    r"|schema|sd_jwt|signature|status|ticket|time)\.(?!json)[a-z_0-9]+"
)


def _codes(tree: ast.Module) -> set[str]:
    """The codes in a module: those written out, and those that a function of it puts together."""
    found = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _CODE.fullmatch(node.value)
    }
    found.update(
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
        and node.arg == "code"
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for node in ast.walk(function):
            match node:
                case ast.JoinedStr(
                    values=[
                        ast.Constant(value=str(area)),
                        ast.FormattedValue(value=ast.Name(id=part)),
                    ]
                ) if _AREA.fullmatch(area):
                    found.update(area + reason for reason in _given(tree, function, part))
    return found


def _given(tree: ast.Module, function: ast.FunctionDef, name: str) -> set[str]:
    """The texts that a name has in a function: what callers hand over, or a loop goes through."""
    parameters = [item.arg for item in function.args.args]
    if name not in parameters:
        loops = [node for node in ast.walk(function) if isinstance(node, ast.For)]
        heads = [loop.iter for loop in loops if f"'{name}'" in ast.dump(loop.target)]
        assert heads, (function.name, name)
        tuples = [
            item for head in heads for item in ast.walk(head) if isinstance(item, ast.Constant)
        ]
        return {str(item.value) for item in tuples}
    place = parameters.index(name)
    calls = [
        node.args[place]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == function.name
    ]
    assert calls, function.name
    reasons = [call.value for call in calls if isinstance(call, ast.Constant)]
    assert len(reasons) == len(calls), f"{function.name} is called with what cannot be read here"
    return {str(reason) for reason in reasons}


def test_the_page_of_data_is_what_the_schemas_say() -> None:
    """docs/data.md has every category and field, and its example makes a category."""
    from pds.vault.schemas.own import read_own

    spec = importlib.util.spec_from_file_location("pds_data_page", ROOT / "docs" / "make_data.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    text = maker.PAGE.read_text(encoding="utf-8")
    assert maker.page(text) == text, "run: python docs/make_data.py"
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    made = read_own("recipes", parse_object(example))
    assert [field.path for field in made.category.fields][:2] == [
        "own-recipes.name",
        "own-recipes.cooked",
    ]
