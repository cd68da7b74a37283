"""A witness of transparency logs (C2SP tlog-witness): it cosigns what only grows.

For each log that it was told of it holds the last checkpoint, and puts its name under the next one
only when that grows out of it. Nothing else is known here: no entry, no mailbox, no relay.
"""
