"""Resources of FHIR R4 as records: which of their values is which field.

One function for each kind of resource; a table at the end says which. Whatever a resource has
beside what its function reads (``_READ``) has no place in a record and is counted.

Long, because it is a list.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from did.json import Json, JsonObject

from .fhir_values import (
    Names,
    Resource,
    all_texts,
    all_words,
    at,
    coded,
    contained_names,
    every,
    first,
    number,
    person_name,
    quantity,
    text,
    usual_name,
    when,
    words,
)

_Fields = dict[str, object]
_CLASSES = {
    "AMB": "ambulatory", "EMER": "emergency", "FLD": "other", "HH": "home", "IMP": "inpatient",
    "ACUTE": "inpatient", "NONAC": "inpatient", "OBSENC": "inpatient", "SS": "day-care",
    "VR": "virtual",
}  # fmt: skip
_OBSERVED = frozenset({"vital-signs", "laboratory", "imaging", "activity", "sleep", "survey",
                       "exam", "social-history", "procedure", "therapy"})  # fmt: skip
_MARITAL = {
    "M": "married", "S": "single", "U": "single", "D": "divorced", "A": "divorced",
    "W": "widowed", "L": "separated", "T": "partnership", "I": "other", "P": "other",
}  # fmt: skip


@dataclass(frozen=True, slots=True, repr=False)
class _Context:
    """What a resource needs beside itself: the names of others."""

    names: Names
    contained: Mapping[str, str]

    def who(self, value: object, *paths: str) -> str:
        return next(filter(None, (self.names.who(value, p, self.contained) for p in paths)), "")

    def all(self, value: object, path: str) -> list[Json]:
        found = (self.names.who(each, "it", self.contained) for each in _each(value, path))
        return [*dict.fromkeys(filter(None, found))]


def _each(value: object, path: str) -> list[dict[str, object]]:
    return [{"it": item} for item in every(value, path)]


def records_of(resource: Resource, names: Names) -> list[tuple[str, JsonObject]] | None:
    """The records of a resource, each with its category, some of them empty; None for a kind that
    has no place."""
    kind = text(resource, "resourceType")
    make = _MAKERS.get(kind)
    if make is None:
        return [] if kind in _NAMED else None
    context = _Context(names, contained_names(resource))
    return [(category, _filled(fields)) for category, fields in make(resource, context)]


def left_over(resource: Resource) -> list[str]:
    """The names of what a resource holds and no record takes."""
    kind = text(resource, "resourceType")
    known = _READ.get(kind)
    if known is None:
        return []
    return [f"{kind}.{plain(name)}" for name in resource if name not in known | _SILENT]


def plain(name: str) -> str:
    """A name of FHIR's own form as it is; any other could hold anything, and is not repeated."""
    return name if name.isascii() and name.isalnum() and len(name) <= 60 else "(another name)"


def _filled(fields: _Fields) -> JsonObject:
    return {key: value for key, value in fields.items() if value}  # type: ignore[misc]


def _common(resource: Resource, context: _Context) -> _Fields:
    return {
        "company": context.names.place(resource, context.contained),
        "identifier": first(resource, "id", "identifier.value"),
        "note": all_texts(resource, "note.text", glue="\n"),
    }


_Made = list[tuple[str, _Fields]]


def _patient(resource: Resource, _: _Context) -> _Made:
    usual = usual_name(resource)
    reach = [t for t in every(resource, "telecom") if isinstance(t, dict)]
    emails = [text(t, "value") for t in reach if t.get("system") == "email"]
    phones = [text(t, "value") for t in reach if t.get("system") in ("phone", "sms")]
    addresses = [_address(a) for a in every(resource, "address")]
    birth = text(resource, "birthDate")
    contact: _Fields = {
        "name": person_name({"name": usual}),
        "givenName": text(usual, "given"),
        "additionalName": all_texts(at_rest(usual, "given"), "given"),
        "familyName": text(usual, "family"),
        "honorificPrefix": all_texts(usual, "prefix"),
        "honorificSuffix": all_texts(usual, "suffix"),
        **_several("email", "otherEmails", emails),
        **_several("telephone", "otherTelephones", phones),
        "faxNumber": next((text(t, "value") for t in reach if t.get("system") == "fax"), ""),
        **_several("address", "otherAddresses", addresses),
        "birthDate": birth,
    }
    place = next(
        (
            e.get("valueAddress")
            for e in every(resource, "extension")
            if isinstance(e, dict) and str(e.get("url")).endswith("/patient-birthPlace")
        ),
        None,
    )
    about: _Fields = {
        "gender": text(resource, "gender"),
        "birthYear": birth[:4],
        "birthPlace": ", ".join(
            filter(None, (text(place, p) for p in ("city", "state", "country")))
        ),
        "languages": [w for c in every(resource, "communication") if (w := words(c, "language"))],
        "maritalStatus": _MARITAL.get(text(resource, "maritalStatus.coding.code"), ""),
    }
    return [("contact", contact), ("demographics", about)]


def at_rest(value: Resource, name: str) -> Resource:
    """The list of this name without its first."""
    items = value.get(name)
    return {name: items[1:] if isinstance(items, list) else []}


def _address(address: object) -> _Fields:
    return _filled(
        {
            "streetAddress": all_texts(address, "line", glue=", "),
            "addressLocality": text(address, "city"),
            "postalCode": text(address, "postalCode"),
            "addressRegion": text(address, "state"),
            "addressCountry": text(address, "country"),
        }
    )  # type: ignore[return-value]


def _several(one: str, others: str, values: list[str] | list[_Fields]) -> _Fields:
    unique = [v for i, v in enumerate(values) if v and v not in values[:i]]
    return {one: unique[0] if unique else "", others: unique[1:]}


def _condition(resource: Resource, context: _Context) -> _Made:
    return [
        (
            "conditions",
            _common(resource, context)
            | coded(resource, "code")
            | {
                "kind": all_words(resource, "category"),
                "status": text(resource, "clinicalStatus.coding.code"),
                "verification": text(resource, "verificationStatus.coding.code"),
                "severity": words(resource, "severity"),
                "bodySite": all_words(resource, "bodySite"),
                "onset": when(resource, "onsetDateTime", "onsetPeriod.start"),
                "abatement": when(resource, "abatementDateTime", "abatementPeriod.start"),
                "recorded": when(resource, "recordedDate"),
                "performer": context.who(resource, "asserter", "recorder"),
            },
        )
    ]


def _value(resource: object) -> _Fields:
    """What was observed: a number with its unit, or else words."""
    value = number(resource, "valueQuantity.value")
    said = [
        words(resource, "valueCodeableConcept"),
        *(
            text(resource, f"value{form}")
            for form in ("String", "Boolean", "Integer", "DateTime", "Time")
        ),
        when(resource, "valuePeriod.start"),
        quantity(at(resource, "valueRange")),
        quantity(at(resource, "valueRatio")),
        "" if value else quantity(at(resource, "valueQuantity")),
    ]
    ucum = text(resource, "valueQuantity.system") == "http://unitsofmeasure.org"
    units = ("code", "unit") if ucum else ("unit", "code")
    return {
        "value": value,
        "valueText": next(filter(None, said), ""),
        "unit": first(resource, *(f"valueQuantity.{unit}" for unit in units)) if value else "",
    }


def _observation(resource: Resource, context: _Context) -> _Made:
    category = text(resource, "category.coding.code")
    kind = category if category in _OBSERVED else "other"
    parts = [
        part
        for component in every(resource, "component")
        if (part := _filled(coded(component, "code") | _value(component)))
    ]
    low, high = (f"referenceRange.{end}.value" for end in ("low", "high"))
    return [
        (
            "observations",
            _common(resource, context)
            | coded(resource, "code")
            | _value(resource)
            | {
                "kind": kind if category else "",
                "when": when(
                    resource, "effectiveDateTime", "effectivePeriod.start", "effectiveInstant",
                    "issued",
                ),
                "end": when(resource, "effectivePeriod.end"),
                "comparator": text(resource, "valueQuantity.comparator"),
                "low": number(resource, low),
                "high": number(resource, high),
                "interpretation": all_words(resource, "interpretation"),
                "parts": parts,
                "bodySite": words(resource, "bodySite"),
                "method": words(resource, "method"),
                "status": text(resource, "status"),
                "device": context.who(resource, "device"),
                "performer": context.who(resource, "performer"),
            },
        )
    ]  # fmt: skip


_MEDICATIONS = {"MedicationRequest": "request", "MedicationStatement": "statement",
                "MedicationDispense": "dispense",
                "MedicationAdministration": "administration"}  # fmt: skip


def _medication(resource: Resource, context: _Context) -> _Made:
    dosage = at(resource, "dosageInstruction") or at(resource, "dosage")
    dose = at(dosage, "doseAndRate.doseQuantity") or at(dosage, "dose")
    fields = (
        _common(resource, context)
        | coded(resource, "medicationCodeableConcept")
        | {
            "kind": _MEDICATIONS[text(resource, "resourceType")],
            "status": text(resource, "status"),
            "dosage": first(dosage, "text", "patientInstruction", "timing.code.text")
            or ("As needed" if text(dosage, "asNeededBoolean") == "yes" else ""),
            "dose": number(dose, "value", places=12),
            "unit": first(dose, "unit", "code"),
            "route": words(dosage, "route"),
            "quantity": number(resource, "dispenseRequest.quantity.value", places=12)
            or number(resource, "quantity.value", places=12),
            "refills": text(resource, "dispenseRequest.numberOfRepeatsAllowed"),
            "reason": all_words(resource, "reasonCode") or context.who(resource, "reasonReference"),
            "start": when(
                resource, "authoredOn", "effectivePeriod.start", "effectiveDateTime",
                "whenHandedOver", "dateAsserted",
            ),
            "end": when(resource, "effectivePeriod.end", "dispenseRequest.validityPeriod.end"),
            "performer": context.who(
                resource, "requester", "informationSource", "performer.actor"
            ),
        }
    )  # fmt: skip
    if not fields["display"]:
        fields["display"] = context.who(resource, "medicationReference")
    return [("medications", fields)]


def _immunization(resource: Resource, context: _Context) -> _Made:
    applied = "protocolApplied"
    return [
        (
            "immunizations",
            _common(resource, context)
            | coded(resource, "vaccineCode")
            | {
                "when": when(resource, "occurrenceDateTime"),
                "status": text(resource, "status"),
                "target": all_words(resource, f"{applied}.targetDisease"),
                "manufacturer": context.who(resource, "manufacturer"),
                "lotNumber": text(resource, "lotNumber"),
                "doseNumber": first(
                    resource, f"{applied}.doseNumberPositiveInt", f"{applied}.doseNumberString"
                ),
                "doses": first(
                    resource, f"{applied}.seriesDosesPositiveInt", f"{applied}.seriesDosesString"
                ),
                "bodySite": words(resource, "site"),
                "route": words(resource, "route"),
                "performer": context.who(resource, "performer.actor"),
            },
        )
    ]


def _allergy(resource: Resource, context: _Context) -> _Made:
    return [
        (
            "allergies",
            _common(resource, context)
            | coded(resource, "code")
            | {
                "kind": text(resource, "type"),
                "substance": text(resource, "category"),
                "criticality": text(resource, "criticality"),
                "reaction": all_words(resource, "reaction.manifestation"),
                "status": text(resource, "clinicalStatus.coding.code"),
                "verification": text(resource, "verificationStatus.coding.code"),
                "onset": when(resource, "onsetDateTime", "onsetPeriod.start"),
                "recorded": when(resource, "recordedDate"),
                "performer": context.who(resource, "asserter", "recorder"),
            },
        )
    ]


def _procedure(resource: Resource, context: _Context) -> _Made:
    common = _common(resource, context)
    return [
        (
            "procedures",
            common
            | coded(resource, "code")
            | {
                "kind": words(resource, "category"),
                "when": when(resource, "performedDateTime", "performedPeriod.start"),
                "end": when(resource, "performedPeriod.end"),
                "status": text(resource, "status"),
                "reason": all_words(resource, "reasonCode")
                or context.who(resource, "reasonReference"),
                "bodySite": all_words(resource, "bodySite"),
                "outcome": words(resource, "outcome"),
                "performer": context.who(resource, "performer.actor"),
                "company": context.who(resource, "location") or common["company"],
            },
        )
    ]


def _encounter(resource: Resource, context: _Context) -> _Made:
    code = text(resource, "class.code")
    diagnoses = context.all(resource, "diagnosis.condition")
    return [
        (
            "encounters",
            _common(resource, context)
            | coded(resource, "type")
            | {
                "kind": _CLASSES.get(code, "other") if code else "",
                "when": when(resource, "period.start"),
                "end": when(resource, "period.end"),
                "status": text(resource, "status"),
                "reason": all_words(resource, "reasonCode")
                or context.who(resource, "reasonReference"),
                "diagnosis": "; ".join(map(str, diagnoses)),
                "discharge": words(resource, "hospitalization.dischargeDisposition"),
                "performer": context.who(resource, "participant.individual"),
                "department": context.who(resource, "location.location"),
                "company": context.who(resource, "serviceProvider"),
            },
        )
    ]


def _diagnostic(resource: Resource, context: _Context) -> _Made:
    results: list[str] = []
    for result in every(resource, "result"):
        reference = text(result, "reference").rpartition("/")[2].removeprefix("urn:uuid:")
        named = text(result, "display") or reference
        if named:
            results.append(named[:500])
    common = _common(resource, context)
    return [
        (
            "diagnostics",
            common
            | coded(resource, "code")
            | {
                "kind": all_words(resource, "category"),
                "when": when(resource, "effectiveDateTime", "effectivePeriod.start"),
                "issued": when(resource, "issued"),
                "status": text(resource, "status"),
                "conclusion": text(resource, "conclusion"),
                "conclusionCode": text(resource, "conclusionCode.coding.code"),
                "results": results,
                "performer": context.who(resource, "resultsInterpreter"),
                "company": context.who(resource, "performer") or common["company"],
            },
        )
    ]


def _careplan(resource: Resource, context: _Context) -> _Made:
    coding = coded(resource, "category")
    activities = [
        found
        for activity in every(resource, "activity")
        if (
            found := words(activity, "detail.code")
            or text(activity, "detail.description")
            or context.who(activity, "reference")
        )
    ]
    common = _common(resource, context)
    return [
        (
            "careplans",
            common
            | coding
            | {
                "display": text(resource, "title") or coding["display"],
                "description": text(resource, "description"),
                "status": text(resource, "status"),
                "intent": text(resource, "intent"),
                "start": when(resource, "period.start"),
                "end": when(resource, "period.end"),
                "goals": context.all(resource, "goal"),
                "activities": activities,
                "addresses": context.all(resource, "addresses"),
                "performer": context.who(resource, "author"),
                "company": context.who(resource, "careTeam") or common["company"],
            },
        )
    ]


def _claim(resource: Resource, context: _Context) -> _Made:
    benefit = text(resource, "resourceType") == "ExplanationOfBenefit"
    items = list(every(resource, "item"))
    coding = coded(items[0], "productOrService") if len(items) == 1 else {}
    total = "total.amount" if benefit else "total"
    diagnoses = [
        all_words(resource, "diagnosis.diagnosisCodeableConcept"),
        *map(str, context.all(resource, "diagnosis.diagnosisReference")),
    ]
    return [
        (
            "claims",
            _common(resource, context)
            | coding
            | {
                "display": all_words(resource, "item.productOrService")[:1000],
                "kind": "benefit" if benefit else "claim",
                "type": words(resource, "type"),
                "when": when(resource, "billablePeriod.start"),
                "end": when(resource, "billablePeriod.end"),
                "created": when(resource, "created"),
                "status": text(resource, "status"),
                "outcome": text(resource, "outcome"),
                "diagnosis": "; ".join(filter(None, diagnoses)),
                "total": number(resource, f"{total}.value"),
                "covered": number(resource, "payment.amount.value"),
                "currency": first(resource, f"{total}.currency", "payment.amount.currency"),
                "insurer": context.who(resource, "insurer"),
                "coverage": context.who(resource, "insurance.coverage"),
                "performer": context.who(resource, "careTeam.provider"),
                "company": context.who(resource, "provider", "facility"),
            },
        )
    ]


_MAKERS: Mapping[str, Callable[[Resource, _Context], _Made]] = {
    "Patient": _patient,
    "Condition": _condition,
    "Observation": _observation,
    **dict.fromkeys(_MEDICATIONS, _medication),
    "Immunization": _immunization,
    "AllergyIntolerance": _allergy,
    "Procedure": _procedure,
    "Encounter": _encounter,
    "DiagnosticReport": _diagnostic,
    "CarePlan": _careplan,
    "Claim": _claim,
    "ExplanationOfBenefit": _claim,
}
# Known by name where others refer to them; no records of their own.
_NAMED = frozenset({"Practitioner", "Organization", "Location", "Medication", "PractitionerRole",
                    "Device", "Goal", "CareTeam", "Coverage", "RelatedPerson"})  # fmt: skip
NEEDED = _NAMED | {"Patient", "Condition", "Encounter"}

_SILENT = frozenset({"resourceType", "id", "meta", "text", "implicitRules", "language", "contained",
                     "subject", "patient", "encounter", "identifier", "note"})  # fmt: skip
_PERIODS = frozenset({"onsetDateTime", "onsetPeriod", "recordedDate", "asserter", "recorder"})
_CLINICAL = frozenset({"code", "category", "status", "clinicalStatus", "verificationStatus"})
_MEDICATION = frozenset(
    {
        "status", "medicationCodeableConcept", "medicationReference", "dosageInstruction", "dosage",
        "dispenseRequest", "quantity", "reasonCode", "reasonReference", "authoredOn",
        "effectivePeriod", "effectiveDateTime", "whenHandedOver", "dateAsserted", "requester",
        "informationSource", "performer",
    }
)  # fmt: skip
_BILL = frozenset(
    {
        "item", "type", "use", "billablePeriod", "created", "status", "outcome", "diagnosis",
        "total", "payment", "insurer", "insurance", "careTeam", "provider", "facility",
    }
)  # fmt: skip
_READ: Mapping[str, frozenset[str]] = {
    "Patient": frozenset(
        {
            "name", "telecom", "address", "birthDate", "gender", "communication", "maritalStatus",
        }
    ),
    "Condition": _CLINICAL | _PERIODS
    | {"severity", "bodySite", "abatementDateTime", "abatementPeriod"},
    "Observation": _CLINICAL
    | {
        "component", "referenceRange", "interpretation", "bodySite", "method", "device",
        "performer", "effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued",
        *(f"value{form}" for form in ("Quantity", "CodeableConcept", "String", "Boolean", "Integer",
                                      "DateTime", "Time", "Period", "Range", "Ratio")),
    },
    **dict.fromkeys(_MEDICATIONS, _MEDICATION),
    "Immunization": frozenset(
        {
            "status", "vaccineCode", "occurrenceDateTime", "protocolApplied", "manufacturer",
            "lotNumber", "site", "route", "performer",
        }
    ),
    "AllergyIntolerance": _CLINICAL | _PERIODS | {"type", "criticality", "reaction"},
    "Procedure": _CLINICAL
    | {
        "performedDateTime", "performedPeriod", "reasonCode", "reasonReference", "bodySite",
        "outcome", "performer", "location",
    },
    "Encounter": frozenset(
        {
            "status", "class", "type", "period", "reasonCode", "reasonReference", "diagnosis",
            "hospitalization", "participant", "location", "serviceProvider",
        }
    ),
    "DiagnosticReport": _CLINICAL
    | {
        "effectiveDateTime", "effectivePeriod", "issued", "conclusion", "conclusionCode", "result",
        "performer", "resultsInterpreter",
    },
    "CarePlan": _CLINICAL
    | {
        "title", "description", "intent", "period", "goal", "activity", "addresses", "author",
        "careTeam",
    },
    "Claim": _BILL,
    "ExplanationOfBenefit": _BILL,
}  # fmt: skip
