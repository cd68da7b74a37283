"""Makes docs/data.md's tables from the schemas: ``python docs/make_data.py`` writes them anew.

A test holds the page against what this program makes.
"""

from pathlib import Path
from typing import Any

from pds.vault.schemas import NAMES, schema_of

PAGE = Path(__file__).with_name("data.md")
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"
SHORT = {
    "https://schema.org/": "schema:",
    "http://hl7.org/fhir/": "fhir:",
    "http://www.w3.org/2002/12/cal/ical#": "ical:",
    "http://www.w3.org/2006/vcard/ns#": "vcard:",
    "https://www.w3.org/2018/credentials#": "vc:",
}


def page(text: str) -> str:
    """The page with its tables as they should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + tables() + END + after


def tables() -> str:
    """A list of the categories, then each with its fields."""
    lines = ["| category | English | Hungarian | time | other side |", "|---|---|---|---|---|"]
    for name in NAMES:
        schema: Any = schema_of(name)
        cells = (
            f"[`{name}`](#{name}){' *' if schema.get('x-special') else ''}",
            schema["title"],
            schema["x-title-hu"],
            _code(schema.get("x-when")),
            _code(schema.get("x-company")),
        )
        lines.append(_row(cells))
    lines += ["", "\\* special category of personal data (GDPR article 9)"]
    for name in NAMES:
        lines += ["", f"### {name}", "", *_section(schema_of(name))]
    return "\n".join(lines) + "\n"


def _section(schema: Any) -> list[str]:
    concept = schema["x-dpv"].rpartition("#")[2]
    rows = [
        f"**{schema['title']}** · {schema['x-title-hu']}. {schema['description']} `pd:{concept}`",
        "",
        "| field | English | Hungarian | form | term |",
        "|---|---|---|---|---|",
    ]
    required = schema.get("required", [])
    for key, form in schema["properties"].items():
        label = f"`{key}`" + (" (required)" if key in required else "")
        rows.append(_row((label, *_cells(form, schema))))
        whole = _whole(form, schema)
        inner = _whole(whole.get("items", whole), schema)
        for part, sub in inner.get("properties", {}).items():
            rows.append(_row((f"`{key}.{part}`", *_cells(sub, schema))))
    return rows


def _cells(form: Any, schema: Any) -> tuple[str, str, str, str]:
    term = form.get("x-term", "")
    for iri, prefix in SHORT.items():
        term = term.replace(iri, prefix)
    said = form.get("description", "").replace(_listed(form.get("enum", [])), "").strip()
    kind = _form(_whole(form, schema), schema)
    return form["title"], form["x-title-hu"], f"{kind}. {said}" if said else kind, term


def _listed(words: list[str]) -> str:
    # The words stand in the descriptions too, for those who see nothing else.
    return f"{', '.join(words[:-1])} or {words[-1]}." if len(words) > 1 else "\0"


def _form(form: Any, schema: Any) -> str:
    if form["type"] == "array":
        return f"list of {_form(_whole(form['items'], schema), schema)}"
    if form["type"] == "object":
        return "group"
    if "enum" in form:
        return " ".join(f"`{word}`" for word in form["enum"])
    return str(form.get("format", f"text, {form['maxLength']}"))


def _whole(form: Any, schema: Any) -> Any:
    if "$ref" in form:
        return schema["$defs"][form["$ref"].rpartition("/")[2]]
    return form


def _code(name: str | None) -> str:
    return f"`{name}`" if name else ""


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
