"""The story of one person and one shop, told while it happens, over real HTTP.

Every step is checked; the program ends with 0 only if all of them held. Everything that was
exchanged is left in the folder that it names at the end.

Long, because a story is told in one go.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ports import free_port

from did.json import parse_object
from did.keys import SigningKey
from pds.company.client import Company
from pds.mailbox import RelayClient, RelayError, RelayUnreachable
from pds.messages.redemption import present
from pds.net import Response, Transport

FIXTURES = Path(__file__).parent / "fixtures"
DPV = "https://w3id.org/dpv#"
SHOP = "did:web:shop.example"
OLD_STREET, NEW_STREET = "Tisza Lajos körút 47.", "Kossuth Lajos sugárút 12."


class StepFailed(Exception):
    """A step of the story did not hold."""


def tell(text: str) -> None:
    print(text, flush=True)


def hold(condition: object, sentence: str) -> None:
    if not condition:
        raise StepFailed(sentence)
    tell(f"   ✓ {sentence}")


class Lossy:
    """The way to a relay that loses one answer on purpose, after the relay has given it."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.lose_next = False
        self.posted = b""

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Response:
        response = self._inner.request(method, url, headers=headers or {}, body=body)
        if url.endswith("/v1/redemptions") and method == "POST":
            self.posted = body
            if self.lose_next:
                self.lose_next = False
                raise RelayUnreachable("the answer was lost on the way")
        return response


class Story:
    """The folder, the processes and the commands of one run."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.objects = folder / "objects"
        self.objects.mkdir()
        self.stack = stack
        self.vault = folder / "vault"
        self.shop = folder / "shop"
        self.passphrase = secrets.token_urlsafe(18)
        self.kit = ""
        self.relay = f"http://127.0.0.1:{free_port()}"
        self.shop_port = free_port()

    # running things
    def pds(self, *arguments: str, expect: int = 0, **environment: str) -> Any:
        """Run the command line and return what it says in JSON."""
        result = subprocess.run(
            [sys.executable, "-m", "pds.cli.main", "--json", "--no-input", *arguments],
            env=os.environ
            | {"PDS_VAULT": str(self.vault), "PDS_PASSPHRASE": self.passphrase}
            | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if result.returncode != expect:
            raise StepFailed(
                f"'pds {' '.join(arguments)}' ended with {result.returncode}, not {expect}:\n"
                f"{result.stdout}{result.stderr}"
            )
        text = result.stdout or result.stderr
        return json.loads(text) if text.strip() else None

    def company(self, *arguments: str, expect: int = 0) -> Any:
        return self.pds("company", "--data", str(self.shop), *arguments, expect=expect)

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a server of ours and wait until it says that it listens."""
        log = (self.folder / f"{name}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "pds.cli.main", "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
        )
        self.stack.callback(log.close)
        self.stack.callback(_stop, process)
        if process.stdout is None or b"listening" not in process.stdout.readline():
            raise StepFailed(f"{name} did not start; see {log.name}")
        self.stack.callback(process.stdout.close)
        return process

    def save(self, name: str, value: Any) -> Path:
        path = self.objects / name
        path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
        return path

    def transport(self) -> Transport:
        return Transport(trusted_origins=[self.relay])

    @contextmanager
    def open_shop(self, transport: Any = None) -> Iterator[Company]:
        with Company.open(self.shop, transport=transport) as opened:
            yield opened


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--keep", type=Path, help="Put everything into this new folder.")
    chosen = parser.parse_args().keep
    if chosen is None:
        folder = Path(tempfile.mkdtemp(prefix="pds-demo-"))
    elif chosen.exists():
        print(f"{chosen} exists already; name a new folder.", file=sys.stderr)
        return 2
    else:
        folder = chosen
        folder.mkdir(parents=True)
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            story = Story(folder, stack)
            for step in STEPS:
                step(story)
    except StepFailed as failed:
        print(f"\nThis did not hold: {failed}\nWhat there is lies in {folder}", file=sys.stderr)
        return 1
    tell(
        f"\nEvery step held, in {time.monotonic() - began:.0f} s. What was exchanged lies in "
        f"{folder / 'objects'}"
    )
    return 0


def step_1_vault(s: Story) -> None:
    tell("\n1. Ilona makes her vault.")
    s.start("relay", "relay", "serve", "--data", str(s.folder / "relay"), "--url", s.relay)
    made = s.pds("init", "--relay", s.relay, "--sandbox", "--kdf-memory", "64")
    s.kit = made["recoveryKit"]
    hold(len(s.kit.split()) == 24, "a vault, opened by her passphrase, and a kit of 24 words")
    by_kit = s.pds("--kit", "status", PDS_KIT=s.kit, PDS_PASSPHRASE="")
    hold(by_kit["unlocked"], "a second unlock, by the recovery kit alone")
    wrong = s.pds("status", expect=3, PDS_PASSPHRASE="not the passphrase")
    hold(wrong["error"]["code"] == "vault.wrong_secret", "a wrong passphrase opens nothing")


def step_2_data(s: Story) -> None:
    tell("\n2. She imports her contact card and a year of purchases.")
    card = s.pds("data", "import", str(FIXTURES / "contact.vcf"))
    rows = s.pds("data", "import", str(FIXTURES / "purchases.csv"))
    hold(card["added"] >= 4 and not card["problems"], f"{card['added']} items from the card")
    hold(rows["added"] >= 10 and not rows["problems"], f"{rows['added']} purchases from the CSV")
    again = s.pds("data", "import", str(FIXTURES / "purchases.csv"))
    hold(again["added"] == 0, "importing the same file again adds nothing")
    found = s.pds("data", "search", "kovacs ory")
    hold(
        any(item["category"] == "contact" for item in found),
        "search finds 'Kovács-Őry' without accents",
    )
    shown = s.pds("data", "show", found[0]["id"])
    hold(
        all(shown[name] for name in ("category", "schema", "source", "collected")),
        "each item has category, schema, source and time",
    )
    note = s.pds("data", "add", "interests", "name=tea")
    s.pds("data", "edit", note["id"], "name=green tea")
    hold(len(s.pds("data", "history", note["id"])) == 2, "a correction keeps the old version")
    s.pds("data", "delete", note["id"], "--yes")
    names = [item["fields"]["name"] for item in s.pds("data", "list", "interests")]
    hold("green tea" not in names and "cycling" in names, "what she deletes is gone")


def step_3_request(s: Story) -> None:
    tell("\n3. A shop asks, with three purposes.")
    s.company(
        "init", "--did", SHOP, "--name", "Tekerj Bringabolt Kft.", "--address",
        "6720 Szeged, Kárász utca 1.", "--contact", "mailto:info@shop.example",
        "--data-protection-contact", "mailto:dpo@shop.example", "--relay", s.relay, "--sandbox",
    )  # fmt: skip
    s.start(
        "shop", "company", "--data", str(s.shop), "serve", "--port", str(s.shop_port), "--dev-tls"
    )
    s.save("did.json", s.company("did"))
    asked = s.company("request", str(FIXTURES / "request.json"), "--audience", "customer 4711")
    trust = f"shop.example=127.0.0.1:{s.shop_port},{s.shop / 'tls' / 'ca.pem'}"
    shown = s.pds("open", asked["link"], "--dev-trust", trust)
    s.save("request-as-shown.json", shown)
    (s.objects / "request-as-shown.txt").write_text(
        "\n\n".join(purpose["text"] for purpose in shown["purposes"]) + "\n"
    )
    tell("\n" + shown["purposes"][0]["text"] + "\n")
    hold(shown["company"] == SHOP, "the shop's domain is proven by its own DID document over TLS")
    hold(shown["matchCode"] == asked["matchCode"], f"both sides show {shown['matchCode']}")
    values = json.dumps(shown["purposes"], ensure_ascii=False)
    hold(OLD_STREET in values, "she sees the actual values that would be sent")
    hold(
        "contract" in shown["purposes"][0]["text"] and "consent" in shown["purposes"][1]["text"],
        "each purpose in the words of its legal basis",
    )


def step_4_decide(s: Story) -> None:
    tell("\n4. She decides purpose by purpose.")
    decided = s.pds(
        "decide", "--accept", "delivery", "--follow", "delivery", "--accept", "personalisation",
        "--for", "personalisation=30d", "--uses", "personalisation=2", "--refuse", "marketing",
    )  # fmt: skip
    purposes = {row["purpose"]: row for row in decided["purposes"]}
    hold(decided["sent"], "the relay has the packages, and the decision is on its way")
    hold(
        purposes["delivery"]["fields"] == ["contact.address", "contact.name"],
        "delivery: provided, name and address",
    )
    hold(
        purposes["personalisation"]["fields"] == ["interests"],
        "personalisation: accepted without purchases, 30 days, twice",
    )
    hold(not purposes["marketing"]["granted"], "marketing: refused")
    for name in ("delivery", "personalisation"):
        s.save(f"grant-{name}.json", s.pds("grant", name))


def step_5_redeem(s: Story) -> None:
    tell("\n5. The vault is locked. The shop collects the decision and redeems.")
    hold(len(s.company("collect")["decided"]) == 1, "the decision answers the shop's request")
    grants = s.company("grants")
    hold(len({grant["person"] for grant in grants}) == 1, "both grants are by one DID, made for it")
    delivery = s.company("redeem", "delivery")
    s.save("package-delivery.json", delivery)
    paths = sorted(item["path"] for item in delivery["items"])
    hold(paths == ["contact.address", "contact.name"], "delivery: exactly name and address")
    hold(OLD_STREET in json.dumps(delivery, ensure_ascii=False), "with the address of today")
    hold(
        all(item["source"].startswith("import/") for item in delivery["items"]),
        "each value says where it comes from, signed by the holder",
    )
    first = s.company("redeem", "personalisation")
    hold(
        {item["path"] for item in first["items"]} == {"interests"},
        "personalisation: interests, and no purchases",
    )
    way = Lossy(s.transport())
    way.lose_next = True
    with s.open_shop(way) as shop:
        try:
            shop.redeem("personalisation")
        except RelayUnreachable:
            hold(True, "the second answer is lost on purpose, after the relay counted it")
        recovered = shop.recover()
    hold(
        len(recovered) == 1 and recovered[0].recovered,
        "it is fetched again by its id, and costs no further use",
    )
    basis = s.company("data", grants[0]["person"], DPV + "DeliveryOfGoods")
    hold(basis["contact.name"], "the shop's register gives out the name for delivery")
    refused = s.company("data", grants[0]["person"], DPV + "DirectMarketing", expect=1)
    hold(refused["error"]["code"] == "register.purpose", "and refuses it for marketing")


def step_6_limits(s: Story) -> None:
    tell("\n6. The limits bite.")
    third = s.company("redeem", "personalisation", expect=1)
    hold(third["error"]["code"] == "relay.used_up", "a third redemption is refused: used up")
    asked = s.company("request", str(FIXTURES / "second-request.json"))
    request = s.pds("open", asked["link"])
    s.pds(
        "decide", request["id"], "--accept", "support", "--for", "support=10s", "--accept",
        "analytics", "--starts-in", "analytics=1h",
    )  # fmt: skip
    s.company("collect")
    later = s.company("redeem", "analytics", expect=1)
    hold(later["error"]["code"] == "relay.not_yet_valid", "a grant that has not begun is refused")
    grants = {grant["purposeId"]: grant for grant in s.company("grants")}
    early = s.save("grant-analytics.json", s.pds("grant", "analytics"))
    report = s.pds("verify", str(early), "--without-status", "--sandbox", expect=1)
    hold(report["code"] == "credential.not_yet_valid", "a verifier says the same, offline")
    at = s.pds(
        "verify",
        str(early),
        "--without-status",
        "--sandbox",
        "--at",
        grants["analytics"]["validFrom"],
    )
    hold(at["result"] == "valid", "and, with the clock passed in, that it will be valid then")
    _attacks(s)
    _wait_until(s, grants["support"]["validUntil"])
    over = s.company("redeem", "support", expect=1)
    hold(over["error"]["code"] == "relay.expired", "a grant of ten seconds is over, and refused")


def _wait_until(s: Story, when: str) -> None:
    """Until the relay's own clock says so."""
    client = RelayClient(s.relay, s.transport(), clock=_now)
    while client.info().time < _parse(when):
        time.sleep(0.1)


def _now() -> Any:
    from did.time import utc_now

    return utc_now()


def _parse(text: str) -> Any:
    from did.time import parse_time

    return parse_time(text)


def _attacks(s: Story) -> None:
    way = Lossy(s.transport())
    client = RelayClient(s.relay, way, clock=_now)
    with s.open_shop(way) as shop:
        shop.redeem("delivery")
        presentation = parse_object(way.posted)["presentation"]
        if not isinstance(presentation, dict):
            raise StepFailed("the presentation was not seen")
        try:
            client.redeem(presentation, SigningKey.generate())
        except RelayError as refused:
            hold(refused.code == "relay.replayed", "a replayed presentation is refused")
        else:
            raise StepFailed("a replayed presentation was answered")
        stolen = _present_as_stranger(presentation, client, s)
    try:
        client.redeem(stolen, SigningKey.generate())
    except RelayError as refused:
        hold(refused.code == "relay.wrong_key", "another company with the shop's ticket is refused")
    else:
        raise StepFailed("another company redeemed the shop's ticket")


def _present_as_stranger(presentation: dict[str, Any], client: RelayClient, s: Story) -> Any:
    from credentials.grant import WITHOUT_STATUS, verify_grant
    from pds.sealing import SealingKey

    grant = verify_grant(
        (s.objects / "grant-delivery.json").read_bytes(),
        purpose=None,
        audience=None,
        status=WITHOUT_STATUS,
        sandbox=True,
    )
    ticket = presentation["verifiableCredential"][0]
    return present(
        ticket,
        grant=grant,
        package_id=ticket["credentialSubject"]["package"],
        key=SigningKey.generate(),
        holder=SealingKey.generate().public,
        relay=s.relay,
        challenge=client.challenge(),
        last_receipt=None,
        now=_now().replace(microsecond=0),
    )


def step_7_move(s: Story) -> None:
    tell("\n7. Ilona moves house.")
    contact = next(item for item in s.pds("data", "list", "contact") if item["about"] == "self")
    edited = s.pds(
        "data", "edit", contact["id"], f"address.streetAddress={NEW_STREET}",
        "address.postalCode=6722",
    )  # fmt: skip
    hold(edited["restaged"] == 1, "the one grant that follows changes is staged anew")
    hold(
        len(s.company("collect")["updated"]) == 1, "the shop is told that there is a newer version"
    )
    newer = s.company("redeem", "delivery")
    text = json.dumps(newer, ensure_ascii=False)
    hold(newer["seq"] == 2 and NEW_STREET in text, "its next redemption brings the new address")
    hold(OLD_STREET not in text, "and not the old one")
    used_up = s.company("redeem", "personalisation", expect=1)
    hold(used_up["error"]["code"] == "relay.used_up", "no count was refilled")


def step_8_sync(s: Story) -> None:
    tell("\n8. She looks at what happened.")
    report = s.pds("sync")
    hold(
        not report["problems"],
        "receipts, ordinals and manifests fit what her vault had staged",
    )
    hold(report["redemptions"] == 5, "five redemptions; the recovered one counted once")
    hold(report["refusals"] >= 4, f"{report['refusals']} refused attempts, with their reasons")
    log = s.pds("activity")
    s.save("activity.json", log)
    taken = [line for line in log if line["kind"] == "redemption"]
    hold(
        {line["purpose"] for line in taken} == {"delivery", "personalisation"}
        and all(line["company"] for line in taken),
        "who took what, when and for which purpose",
    )
    codes = {line["detail"].get("code") for line in log if line["kind"] == "refusal"}
    hold({"relay.used_up", "relay.wrong_key"} <= codes, "and who was refused, and why")
    uses = {row["purpose"]: row["uses"] for row in s.pds("sharing")}
    hold(uses["delivery"] == 3 and uses["personalisation"] == 2, "the counts are right")


def step_9_withdraw(s: Story) -> None:
    tell("\n9. She withdraws her consent, and ends the sharing for delivery.")
    grants = {grant["purposeId"]: grant for grant in s.company("grants")}
    for name, verb in (("personalisation", "withdraw"), ("delivery", "end")):
        ended = s.pds("withdraw", name, "--yes")
        hold(ended["verb"] == verb and ended["complete"], f"{name}: the relay's receipts are in")
        refused = s.company("redeem", name, expect=1)
        hold(
            refused["error"]["code"] in ("relay.ended", "relay.withdrawn"),
            f"{name}: the relay refuses from that moment",
        )
    report = s.company("collect")
    hold(len(report["ended"]) == 2 and not report["problems"], "the shop is told, and erases")
    for purpose in ("ServicePersonalisation", "DeliveryOfGoods"):
        gone = s.company("data", grants["delivery"]["person"], DPV + purpose, expect=1)
        hold(gone["error"]["code"] == "register.withdrawn", f"{purpose}: no basis any more")
    s.pds("sync")
    attested = {row["purpose"]: row["attestations"] for row in s.pds("sharing")}
    for name in ("personalisation", "delivery"):
        s.save(f"attestation-{name}.json", attested[name])
    hold(
        attested["personalisation"] and not attested["personalisation"][0]["retained"],
        "a signed attestation: everything of personalisation is erased",
    )
    kept = attested["delivery"][0]["retained"]
    hold(
        kept and kept[0]["basis"].endswith("A6-1-c") and kept[0]["until"] and kept[0]["reason"],
        "for delivery it names what is kept, by which law, why and until when",
    )
    shown = {line["purpose"] for line in s.pds("activity") if line["kind"] == "attested"}
    hold({"delivery", "personalisation"} <= shown, "both stand in her activity log")


def step_10_verify(s: Story) -> None:
    tell("\n10. Anyone can verify a grant, without a vault.")
    no_vault: Any = {"PDS_VAULT": str(s.folder / "no-vault"), "PDS_PASSPHRASE": ""}
    path = s.objects / "grant-personalisation.json"
    base = ("verify", str(path), "--sandbox", "--audience", SHOP)
    unknown = s.pds(*base, expect=2, **no_vault)
    hold(unknown["result"] == "could not check", "without a status list it says that it could not")
    known = s.pds(*base, "--without-status", **no_vault)
    hold(known["result"] == "valid", "signature, time, purpose and company: valid")
    online = s.pds(*base, "--online", "--relay", s.relay, expect=1, **no_vault)
    hold(online["result"] == "withdrawn", "with the relay's status list: withdrawn")
    analytics = ("verify", str(s.objects / "grant-analytics.json"), "--sandbox")
    grant = parse_object((s.objects / "grant-analytics.json").read_bytes())
    url = str(grant["credentialStatus"]["statusListCredential"])  # type: ignore[index,call-overload]
    status = s.objects / "status-list.json"
    status.write_bytes(s.transport().request("GET", url).body)
    valid_from = str(grant["validFrom"])
    live = s.pds(*analytics, "--status", str(status), "--at", valid_from, **no_vault)
    hold(live["result"] == "valid" and live["statusChecked"], "from a file: not withdrawn, valid")
    raw = path.read_bytes()
    altered = s.objects / "grant-altered.json"
    altered.write_bytes(raw.replace(b'"interests"', b'"purchases"'))
    caught = s.pds("verify", str(altered), "--sandbox", "--without-status", expect=1, **no_vault)
    hold(caught["result"] == "altered", "one changed word: altered")
    _flip_everywhere(raw)


def _flip_everywhere(raw: bytes) -> None:
    from credentials.errors import CredentialError
    from credentials.grant import WITHOUT_STATUS, verify_grant
    from did.errors import DidError

    compact = json.dumps(json.loads(raw), ensure_ascii=False, separators=(",", ":")).encode()
    for position in range(len(compact)):
        flipped = bytearray(compact)
        flipped[position] ^= 1
        try:
            verify_grant(
                bytes(flipped), purpose=None, audience=None, status=WITHOUT_STATUS, sandbox=True
            )
        except (CredentialError, DidError):
            continue
        raise StepFailed(f"a flipped byte at {position} was not caught")
    hold(True, f"each of its {len(compact)} bytes flipped in turn: every time caught")


def step_11_canaries(s: Story) -> None:
    tell("\n11. Nothing can be read at the relay, nor in the locked vault.")
    # Long enough not to turn up in random bytes or a port number by chance.
    planted = [
        "Ilona Márta", "Kovács-Őry", "Tisza Lajos", "Kossuth Lajos", "posta.example",
        "chamber music", "bookbinding", "DeliveryOfGoods", "ServicePersonalisation",
        "DirectMarketing", "delivery", "personalisation", "marketing", "contact.address",
        "Bringabolt", "customer 4711",
    ]  # fmt: skip
    for name, places in (
        ("the relay's database and logs", [s.folder / "relay", s.folder / "relay.log"]),
        ("the locked vault", [s.vault]),
    ):
        files = [f for p in places for f in ([p] if p.is_file() else sorted(p.rglob("*")))]
        octets = b"\0".join(f.read_bytes() for f in files if f.is_file()).lower()
        found = [word for word in planted if word.lower().encode() in octets]
        hold(octets and not found, f"{name}: {len(octets):,} bytes, no planted word" if not found
             else f"{name} must not hold {found}")  # fmt: skip


STEPS = (
    step_1_vault,
    step_2_data,
    step_3_request,
    step_4_decide,
    step_5_redeem,
    step_6_limits,
    step_7_move,
    step_8_sync,
    step_9_withdraw,
    step_10_verify,
    step_11_canaries,
)

if __name__ == "__main__":
    sys.exit(main())
