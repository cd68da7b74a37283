"""The recovery kit divided: three sheets of 33 words, any two of which make it whole (SLIP-39).

What is divided is the kit's secret, so two sheets and the 24 words open the same slot. One sheet
alone says nothing about the secret. The words, their checksum and the division are Trezor's
``shamir-mnemonic``, the reference implementation of SLIP-39; its sentences repeat words of the
sheet, so none of them is passed on.
"""

from pds.vault.slotfile import KEY_BYTES, KeyslotError

SHEETS, NEEDED = 3, 2
SHEET_WORDS = 33
# How many words may be typed: one sheet (refused with a word of its own), two, or all three.
SHEET_COUNTS = tuple(SHEET_WORDS * n for n in range(1, SHEETS + 1))
# The cost of SLIP-39's own stretching. The sheets carry it, and another value would let a sheet
# hold the machine; for a random secret it has no use.
_EXPONENT = 1


def split(secret: bytes) -> tuple[str, ...]:
    """Three sheets of 32 bytes, each a line of 33 words; another call makes other sheets, and
    sheets of two calls do not go together."""
    from shamir_mnemonic import generate_mnemonics

    (sheets,) = generate_mnemonics(1, [(NEEDED, SHEETS)], secret, b"", iteration_exponent=_EXPONENT)
    return tuple(sheets)


def join(typed: list[str]) -> bytes:
    """The 32 bytes of the words of two or three sheets, in lower case, one sheet after the other.

    Raises ``vault.kit_words`` (position of an unknown word, never the word), ``vault.kit_checksum``
    (a sheet was mistyped), ``vault.kit_sheets`` (one sheet alone, the same sheet twice, sheets of
    different kits, sheets of something else).
    """
    from shamir_mnemonic import MnemonicError, Share, combine_mnemonics
    from shamir_mnemonic.wordlist import WORD_INDEX_MAP

    sheets = [typed[at : at + SHEET_WORDS] for at in range(0, len(typed), SHEET_WORDS)]
    # 1. Every word is one of the list.
    for number, sheet in enumerate(sheets, start=1):
        for position, word in enumerate(sheet, start=1):
            if word not in WORD_INDEX_MAP:
                raise KeyslotError(
                    f"Word {position} of sheet {number} is not a word of recovery sheets.",
                    code="vault.kit_words",
                    hint="Compare with the printed sheet.",
                    exit_code=3,
                )
    # 2. Every sheet is whole by its checksum.
    shares = []
    for number, sheet in enumerate(sheets, start=1):
        try:
            shares.append(Share.from_mnemonic(" ".join(sheet)))
        except MnemonicError:
            raise KeyslotError(
                f"The words of sheet {number} do not belong together: one was mistyped, or two "
                "changed places.",
                code="vault.kit_checksum",
                hint="Compare each word and the order with the printed sheet.",
                exit_code=3,
            ) from None
    # 3. They are ours: two of three, and no other cost than ours.
    ours = (1, 1, NEEDED, _EXPONENT, KEY_BYTES)
    for share in shares:
        shown = (
            share.group_threshold,
            share.group_count,
            share.member_threshold,
            share.iteration_exponent,
            len(share.value),
        )
        if shown != ours:
            raise _refused("A sheet is not one of a vault's recovery kit.", "Use the vault's own.")
    # 4. They go together, and are two.
    if len({share.common_parameters() for share in shares}) > 1:
        raise _refused(
            "The sheets belong to different recovery kits.",
            "Each sheet bears the date and the short id of its kit: take two with the same.",
        )
    different = {share.index: share for share in shares}
    if len(different) < NEEDED:
        raise _refused(
            "One sheet is not enough: the words of two different ones are needed.",
            "Type the words of any two of the three sheets, one after the other.",
        )
    try:
        return bytes(
            combine_mnemonics([share.mnemonic() for share in list(different.values())[:NEEDED]])
        )
    except MnemonicError:
        raise _refused(
            "The sheets do not make a recovery kit.", "One may be of another kit: try the third."
        ) from None


def _refused(message: str, hint: str) -> KeyslotError:
    return KeyslotError(message, code="vault.kit_sheets", hint=hint, exit_code=3)
