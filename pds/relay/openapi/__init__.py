"""What the relay's HTTP interface is, for programs: an OpenAPI 3.1 document.

``operations`` is a row for each route, ``schemas`` the forms, ``document`` puts them together.
Tests hold the rows against the routes, and every answer that any test of the relay gets against the
document.
"""

from pds.relay.openapi.document import document

__all__ = ["document"]
