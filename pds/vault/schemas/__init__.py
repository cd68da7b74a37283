"""The categories of records, each with its JSON Schema (2020-12), and the one check of a record.

A *path* names data: a category (``purchases``) is all of it, a category and a field
(``contact.email``) one stable thing that a grant can cover. Values are text or made of text:
amounts are decimal strings, because a float has no place in a signed object; dates and times have
the forms of ``forms``. Titles exist in English (``title``) and Hungarian (``x-title-hu``).

Beside JSON Schema's own, a schema says:

- ``x-when``: the field that says when it happened, for one line of time through everything;
- ``x-company``: the field that names the other side, for one page about one relation. It is
  ``company`` wherever a company is the other side, whatever its title says (bank, insurer, shop,
  service); only purchases say ``merchant``, and payments ``counterparty``, who may be a person;
- ``x-special``: data of article 9 GDPR. Health has one category for each kind of FHIR R4, because
  a path names all of a category, and a grant for vaccinations must not carry diagnoses;
- ``x-dpv``: the concept of personal data (DPV 2.3); ``x-term`` of a field: its meaning in a
  published vocabulary (schema.org, FHIR, iCalendar, vCard), as an IRI;
- ``examples``: one record.

``when_of`` and ``company_of`` read the first two of a record. What this module hands on knows the
categories of this software; a ``Catalogue`` those of a vault, one's own (``own-…``) too.

A category is added by putting its file here and its name in ``NAMES`` of ``catalogue``. It never
begins with ``own-``. A published one is only ever extended by fields that need not be there: grants
and records name its paths. Somebody's own fields go into a category of their own and not into a
published one: the schema's IRI travels with each value, and must mean one thing to everybody.
"""

from .catalogue import NAMES, Catalogue, is_own
from .category import Category, Field, RecordError
from .rules import MAX_RECORD_BYTES

BUILT_IN = Catalogue()

categories = BUILT_IN.categories
category = BUILT_IN.category
parse_path = BUILT_IN.parse_path
describe = BUILT_IN.describe
check = BUILT_IN.check
schema_of = BUILT_IN.schema_of
when_of = BUILT_IN.when_of
company_of = BUILT_IN.company_of

__all__ = [
    "BUILT_IN",
    "MAX_RECORD_BYTES",
    "NAMES",
    "Catalogue",
    "Category",
    "Field",
    "RecordError",
    "categories",
    "category",
    "check",
    "company_of",
    "describe",
    "is_own",
    "parse_path",
    "schema_of",
    "when_of",
]
