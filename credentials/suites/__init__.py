"""Cryptosuites of Data Integrity: one suite, one room."""
