"""The clock that a caller hands over must know its time zone, whatever is verified or signed."""

import inspect
import pkgutil
from datetime import datetime, timedelta
from importlib import import_module

import pytest

import credentials
from credentials.key_binding import bind_key
from credentials.sd_jwt import issue_sd_jwt
from credentials.sd_jwt_vc import issue_sd_jwt_vc
from credentials.vc_jwt import sign_vp_jwt
from did.methods import webvh
from did.time import check_now, utc_now

NAIVE = datetime(2026, 1, 31, 9, 30)
# Steps of the others, which have looked at the clock by then.
STEPS = {"verify_own", "verify_parsed"}


def _takes_now(function):
    return inspect.isfunction(function) and "now" in inspect.signature(function).parameters


def _verifying():
    """Every public function of the two packages that verifies something at a moment."""
    found = {"read_history": webvh.read_history, "read_log": webvh.read_log}
    found["resolve"] = webvh.resolve
    for module in pkgutil.iter_modules(credentials.__path__, "credentials."):
        for name, value in vars(import_module(module.name)).items():
            if name.startswith("verify_") and name not in STEPS and _takes_now(value):
                found[name] = value
    return found


VERIFYING = _verifying()


@pytest.mark.parametrize("name", sorted(VERIFYING))
def test_a_clock_without_a_zone_is_said_at_once(name):
    """By every verifier, before it looks at anything else."""
    verify = VERIFYING[name]
    given = {
        each.name: None
        for each in inspect.signature(verify).parameters.values()
        if each.default is inspect.Parameter.empty
    }
    with pytest.raises(ValueError, match=r"datetime\.now\(UTC\)"):
        verify(**{**given, "now": NAIVE})


def test_the_verifiers_are_found():
    """The list is not empty by mistake, and has those that the package shows."""
    assert {name for name in credentials.__all__ if name.startswith("verify_")} <= VERIFYING.keys()
    assert len(VERIFYING) >= 14


def test_a_token_is_not_signed_by_a_clock_without_a_zone(key):
    """Its seconds would be those of whatever zone the machine is set to."""
    token = issue_sd_jwt({}, key, disclosable=frozenset(), header={})
    presentation = {"type": "VerifiablePresentation"}
    for sign in (
        lambda: bind_key(token, key, audience="us", nonce="n", now=NAIVE),
        lambda: issue_sd_jwt_vc(
            {}, key, type_uri="x", now=NAIVE, disclosable=frozenset(), holder=None
        ),
        lambda: sign_vp_jwt(presentation, key, challenge="c", domain="d", now=NAIVE),
    ):
        with pytest.raises(ValueError, match="time zone"):
            sign()


def test_any_zone_will_do():
    """What counts is the moment."""
    check_now(utc_now())
    check_now(utc_now().astimezone())
    check_now(utc_now() + timedelta(days=1))
