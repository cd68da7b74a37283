"""The plaintext protocol of holder and company: what is said inside the seals.

Requests, decisions, packages, redemptions and notices, each a frozen object with ``parse`` and
``to_json``, and the numbered checks that each side makes. Pure: no network, no database. The
relay never imports this.
"""
