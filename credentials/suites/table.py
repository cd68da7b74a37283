"""The cryptosuites known here, by name. A suite is loaded when a proof of it is met."""

from functools import cache
from typing import Final

from credentials.errors import ProofInvalid
from credentials.suites.suite import Suite

EDDSA_JCS: Final = "eddsa-jcs-2022"
EDDSA_RDFC: Final = "eddsa-rdfc-2022"
ECDSA_JCS: Final = "ecdsa-jcs-2019"
ECDSA_RDFC: Final = "ecdsa-rdfc-2019"
ECDSA_SD: Final = "ecdsa-sd-2023"
# Ours, and an experiment: it adds to the proofs of others and never counts by itself.
EXPERIMENTAL_MLDSA44: Final = "experimental-mldsa44-jcs-2026"

# What is verified where a proof over RDF has no meaning, or costs more than its reader may spend.
JCS_ONLY: Final = frozenset({EDDSA_JCS})
OVER_JSON: Final = frozenset({EDDSA_JCS, ECDSA_JCS, EXPERIMENTAL_MLDSA44})
ALL_SUITES: Final = OVER_JSON | {EDDSA_RDFC, ECDSA_RDFC, ECDSA_SD}


# Of unknown names nothing is kept: what is raised is not.
@cache
def suite_named(name: str) -> Suite:
    """The suite of a name. Raises ``ProofInvalid`` (``proof.no_known_suite``)."""
    # Each import stands by itself, so that who meets one suite loads no other.
    if name == EDDSA_JCS:
        from credentials.suites import eddsa_jcs

        return eddsa_jcs.SUITE
    if name == EDDSA_RDFC:
        from credentials.suites import eddsa_rdfc

        return eddsa_rdfc.SUITE
    if name in (ECDSA_JCS, ECDSA_RDFC):
        from credentials.suites import ecdsa

        return ecdsa.SUITES[name]
    if name == ECDSA_SD:
        from credentials.suites import ecdsa_sd

        return ecdsa_sd.SUITE
    if name == EXPERIMENTAL_MLDSA44:
        from credentials.suites import experimental_mldsa

        return experimental_mldsa.SUITE
    raise ProofInvalid(
        "the cryptosuite is not one known here",
        code="proof.no_known_suite",
        hint="Known here: " + ", ".join(sorted(ALL_SUITES)) + ".",
        pointer="/proof/cryptosuite",
    )
