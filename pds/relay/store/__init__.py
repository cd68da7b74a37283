"""All SQL of the relay. The caller owns the transaction; every function takes its connection."""

from pds.relay.store.connections import Store

__all__ = ["Store"]
