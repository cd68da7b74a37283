"""The product: vault, relay, company, and the rooms they share."""
