"""One DID method, one module: each turns a DID into its document."""
