"""All SQL of the vault: one module for each kind of thing that is kept.

Each module offers its tables as migration text (``…_SQL``) and a store class on a connection. A
store reads and writes rows and decides nothing; the caller owns the transaction.
"""
