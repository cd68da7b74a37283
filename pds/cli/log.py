"""``pds log``: look at a relay's log as anybody can. Needs no vault.

Long, because one command has many things to say, in words and in JSON.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pds.cli.log_keys import keys_of, sentence, told
from pds.cli.log_source import LogSource, offline, online
from pds.cli.output import Settings, count, pass_settings
from pds.cli.witnesses import parse_witness

if TYPE_CHECKING:
    from did.json import JsonObject
    from pds.log.evidence import KeyEvidence
    from pds.log.keys import LogKeys
    from pds.log.succession import LoggedSuccession
    from pds.log.vkey import NoteKey

_INVALID, _UNCHECKED = 1, 2
_MAX_FILE = 8 * 1_048_576


@click.group()
def log() -> None:
    """Look at the log of a relay: whole, only growing, and watched by witnesses."""


@log.command()
@click.argument("relay", metavar="URL")
@pass_settings
def key(settings: Settings, *, relay: str) -> None:
    """Print the verifier key of a relay's log, as the relay tells it."""
    with online(relay) as source:
        text = source.known_key().text
    settings.emit({"key": text}, text)


@log.command()
@click.argument("source", required=False, metavar="[URL|FOLDER]")
@click.option("--key", "vkey", metavar="KEY", help="The verifier key of the log, if you know it.")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Remember here what was seen, and compare with it next time.")  # fmt: skip
@click.option("--receipt", "receipts", multiple=True, metavar="FILE",
              type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A receipt that must be in the log.")  # fmt: skip
@click.option("--witness", "witnesses", multiple=True, metavar="[URL=]KEY",
              help="A witness that must have cosigned, by its verifier key.")  # fmt: skip
@click.option("--quorum", type=click.IntRange(1), help="So many of them. Default: all.")
@click.option("--save", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
              help="Keep checkpoint and tiles here, for later without the network.")  # fmt: skip
@click.option("--evidence", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              metavar="FILE", help="Look at evidence against a log instead.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Where evidence goes when the log is found forked.")  # fmt: skip
@pass_settings
def verify(
    settings: Settings,
    *,
    source: str | None,
    vkey: str | None,
    state: Path | None,
    receipts: tuple[Path, ...],
    witnesses: tuple[str, ...],
    quorum: int | None,
    save: Path | None,
    evidence: Path | None,
    out: Path | None,
) -> None:
    """Verify the log of a relay (its URL, or URL/log/NAME for one that it has ended), or one kept
    in a FOLDER.

    Every leaf is read, the tree is built anew, and its root must be the one that is signed, that
    begins with what was seen before, and that holds every receipt. Without a URL or folder,
    --receipt is checked by itself, and --evidence always is.

    \b
    Exit code  "result" in JSON
      0        valid            (evidence: proven)
      1        invalid          forked, shrunken, not signed, not in the log, too few witnesses, …
      2        could not check  relay away, no tiles, no key, nothing proven
    """
    from did.errors import DidError
    from pds.errors import PdsError
    from pds.log.errors import LogError, LogMisbehaved

    job = _Job(settings, vkey, state, receipts, witnesses, quorum)
    try:
        if evidence is not None:
            code = job.judge(evidence)
        elif source is None:
            code = job.alone()
        else:
            folder = Path(source)
            with online(source) if "://" in source else offline(folder) as found:
                code = job.whole(found.saved_in(save) if save is not None else found)
    except LogMisbehaved as error:
        if out is not None:
            job.write_evidence(error, out)
        code = job.answer(_INVALID, error)
    except (LogError, DidError) as error:
        code = job.answer(_INVALID, error)
    except (PdsError, OSError, LookupError) as error:
        code = job.answer(_UNCHECKED, error)
    sys.exit(code)


@dataclass(slots=True)
class _Job:
    """One call of ``verify``: what was given, and how it is answered."""

    settings: Settings
    vkey: str | None
    state: Path | None
    receipts: tuple[Path, ...]
    witnesses: tuple[str, ...]
    quorum: int | None

    def whole(self, source: LogSource) -> int:
        """A log with its leaves."""
        from did.time import utc_now
        from pds.log.audit import audit_log
        from pds.log.errors import NoteInvalid
        from pds.log.policy import newest_cosigned
        from pds.log.vkey import NoteKey, Signs, log_key

        note = source.note()
        source.origin = source.origin or note.partition("\n")[0]
        kept = self._read_state()
        believed = self._believed(source, kept)
        self._log = (source.origin, believed[0].key if believed else source.key)
        keys, successions = keys_of(
            source,
            source.origin,
            note,
            believed=believed,
            remembered=self._remembered(),
        )
        self._log = (source.origin, keys)
        log, before = log_key(source.origin, keys.newest), kept.get(source.origin)
        verified = [self._receipt(path, log.name, keys) for path in self.receipts]
        others = [one.receipt.checkpoint for one in verified]
        if before is not None:
            others.append(str(before["checkpoint"]))
        policy = self._policy()
        cosigned = None
        if policy is not None:
            cosigned = newest_cosigned(
                [note, *source.cosigned],
                origin=log.name,
                key=keys,
                policy=policy,
                now=utc_now(),
            )
            if cosigned is None:
                raise NoteInvalid(
                    "no checkpoint of the log is cosigned by the witnesses that must have",
                    code="log.quorum",
                    hint="Ask again later.",
                )
            others.append(cosigned.note)
        audited = audit_log(source.tile, note, origin=log.name, key=keys, others=others)
        known = {
            name: NoteKey.parse(one["key"], expected=Signs.NOTES) for name, one in kept.items()
        }
        before_it = [name for name, one in known.items() if one.key in keys.all]
        self._write_state(kept | {log.name: {"key": log.text, "checkpoint": note}}, successions)
        size, trusted = audited.checkpoint.size, self.vkey is None and before is None
        answer: JsonObject = {
            "result": "valid",
            "log": log.name,
            "key": log.text,
            "size": size,
            "receipts": len(verified),
            "comparedWith": None if before is None else audited.others[len(verified)].size,
            "witnessed": None if cosigned is None else cosigned.checkpoint.size,
            "witnesses": [] if cosigned is None else [one.witness.name for one in cosigned.by],
            "keyTakenOnTrust": trusted,
            "otherLogsOfThisKey": [name for name in before_it if name != log.name],
            "keyChanges": [told(one) for one in keys.changes],
        }
        self.settings.emit(answer, lambda: _words(answer))
        return 0

    def alone(self) -> int:
        """Receipts by themselves."""
        from pds.log.keys import LogKeys
        from pds.log.vkey import NoteKey, Signs

        if not self.receipts:
            raise click.UsageError("Say what to verify: a URL, a folder, --receipt or --evidence.")
        if self.vkey is None:
            raise click.UsageError("A receipt by itself needs --key, the verifier key of the log.")
        log = NoteKey.parse(self.vkey, expected=Signs.NOTES)
        for path in self.receipts:
            self._receipt(path, log.name, LogKeys(log.key))
        self.settings.emit(
            {"result": "valid", "log": log.name, "receipts": len(self.receipts)},
            f"{count(len(self.receipts), 'receipt')} of {log.name}, signed for.\n"
            "Whether everybody is shown the same log takes its URL, and witnesses.",
        )
        return 0

    def judge(self, path: Path) -> int:
        """Evidence against a log, for a third person."""
        from pds.log.errors import EvidenceInvalid
        from pds.log.evidence import KeyEvidence, judge, parse_evidence
        from pds.log.succession import open_succession
        from pds.log.vkey import NoteKey, Signs, log_key

        evidence = parse_evidence(_object(path))
        if isinstance(evidence, KeyEvidence):
            return self._judge_key(evidence)
        changes = [open_succession(note) for note in evidence.successions]
        named = {evidence.key, *(log_key(one.origin, one.old) for one in changes)}
        if self.vkey is not None and NoteKey.parse(self.vkey, expected=Signs.NOTES) not in named:
            raise EvidenceInvalid("the evidence is about another key")
        verdict = judge(evidence)
        older, newer = verdict.sizes
        what = (
            f"two different trees of {leaves(older)}"
            if older == newer
            else f"a tree of {newer} that does not begin with the one of {older}"
        )
        words = (
            f"Proven: the holder of this key has signed {what}, as {verdict.origin}."
            if verdict.proven
            else f"Not proven: the key has signed trees of {older} and {newer} leaves. That the log"
            " could not show how one grew out of the other is the word of who kept this."
        )
        words += f"\n  {evidence.key.text}" + (
            "" if self.vkey else "\n  Compare this key with what you know of the log (--key)."
        )
        result = "proven" if verdict.proven else "not proven"
        self.settings.emit(
            {
                "result": result,
                "log": verdict.origin,
                "key": evidence.key.text,
                "sizes": [older, newer],
                "keyCompared": self.vkey is not None,
            },
            words,
        )
        return 0 if verdict.proven else _UNCHECKED

    def _judge_key(self, evidence: "KeyEvidence") -> int:
        """A key that signed what it had given up, or named two keys."""
        from pds.log.errors import EvidenceInvalid
        from pds.log.evidence import judge_key
        from pds.log.vkey import NoteKey, Signs, log_key

        broken = judge_key(evidence)
        keys = [log_key(broken.origin, key) for key in (broken.old, broken.new)]
        if self.vkey is not None and NoteKey.parse(self.vkey, expected=Signs.NOTES) not in keys:
            raise EvidenceInvalid("the evidence is about another key")
        words = (
            f"Proven: a key of {broken.origin} has signed against the succession that it signed"
            f" itself.\n  {keys[0].text}\n  {keys[1].text}"
        )
        self.settings.emit(
            {
                "result": "proven",
                "log": broken.origin,
                "keys": [key.text for key in keys],
                "keyCompared": self.vkey is not None,
            },
            words,
        )
        return 0

    def answer(self, code: int, error: Exception) -> int:
        """Why not."""
        result = "invalid" if code == _INVALID else "could not check"
        name = str(getattr(error, "code", "log.not_there"))
        message = str(error) if hasattr(error, "code") else "a part of the log is not there"
        hint = str(getattr(error, "hint", ""))
        told = {"result": result, "code": name, "message": message, "hint": hint}
        self.settings.emit(
            told, f"{result.capitalize()}: {message}.  [{name}]" + (f"\n  {hint}" if hint else "")
        )
        return code

    def write_evidence(self, error: Any, out: Path) -> None:
        """Keep what convicts, in a file."""
        from did.json import canonicalize
        from pds.log.evidence import evidence_of

        origin, key = self._log
        if key is not None:
            out.write_bytes(canonicalize(evidence_of(error, origin=origin, key=key).to_json()))

    _log: Any = (None, None)

    def _believed(self, source: LogSource, kept: "dict[str, dict[str, str]]") -> "list[NoteKey]":
        """The keys of the log that are known: given, or remembered."""
        from pds.log.vkey import NoteKey, Signs

        texts = (self.vkey, kept.get(source.origin or "", {}).get("key"))
        return [NoteKey.parse(text, expected=Signs.NOTES) for text in texts if text is not None]

    def _remembered(self) -> "tuple[LoggedSuccession, ...]":
        """The successions that the state remembers."""
        from pds.log.succession import read_successions

        if self.state is None or not self.state.exists():
            return ()
        return read_successions({"successions": _object(self.state).get("successions", [])})

    def _policy(self) -> Any:
        from pds.log.policy import WitnessPolicy

        if not self.witnesses:
            if self.quorum is not None:
                raise click.UsageError("--quorum goes with --witness.")
            return None
        named = tuple(parse_witness(text) for text in self.witnesses)
        return WitnessPolicy(named, self.quorum or len(named))

    def _receipt(self, path: Path, origin: str, keys: "LogKeys") -> Any:
        from pds.log.entry import verify_receipt

        return verify_receipt(_object(path), origin=origin, log_key=keys)

    def _read_state(self) -> "dict[str, dict[str, str]]":
        if self.state is None or not self.state.exists():
            return {}
        logs = _object(self.state).get("logs")
        if not isinstance(logs, dict):
            raise click.UsageError("--state names a file that this command did not write.")
        found = {}
        for name, one in logs.items():
            if not isinstance(one, dict) or set(one) != {"key", "checkpoint"}:
                raise click.UsageError("--state names a file that this command did not write.")
            found[name] = {part: str(value) for part, value in one.items()}
        return found

    def _write_state(
        self,
        logs: "dict[str, dict[str, str]]",
        successions: "Sequence[LoggedSuccession]",
    ) -> None:
        if self.state is None:
            return
        import os

        from did.json import canonicalize
        from pds.log.succession import as_document

        written = self.state.with_name(f".{self.state.name}.new")
        with written.open("wb") as file:
            state: JsonObject = {"logs": {name: {**one} for name, one in logs.items()}}
            if successions:
                state |= as_document(successions)
            file.write(canonicalize(state))
            file.flush()
            os.fsync(file.fileno())
        written.replace(self.state)


def _object(path: Path) -> "JsonObject":
    from did.json import parse_object

    with path.open("rb") as file:
        return parse_object(file.read(_MAX_FILE + 1), max_bytes=_MAX_FILE)


def _words(said: "JsonObject") -> str:
    lines = [
        f"Valid: {said['log']}, {leaves(said['size'])}."
        " Built anew from its leaves, it leads to the signed root."
    ]
    if said["receipts"]:
        lines.append(f"It holds {count(_int(said['receipts']), 'receipt')} that you gave.")
    if said["comparedWith"] is not None:
        lines.append(f"It begins with the {said['comparedWith']} that were seen before.")
    names = said["witnesses"]
    if isinstance(names, Sequence) and names:
        lines.append(f"{', '.join(map(str, names))} cosigned {said['witnessed']} of them.")
    else:
        lines.append("No witness was asked for: others may be shown another log (--witness).")
    if said["keyTakenOnTrust"]:
        lines.append(f"The key is the one that the log shows itself:\n  {said['key']}")
    changes = said["keyChanges"]
    if isinstance(changes, list):
        lines += [sentence(one) for one in changes if isinstance(one, dict)]
    if said["otherLogsOfThisKey"]:
        lines.append("With this key there was another log before; nothing links the two.")
    return "\n".join(lines)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def leaves(number: object) -> str:
    """``1 leaf``, ``2 leaves``."""
    return "1 leaf" if number == 1 else f"{number} leaves"
