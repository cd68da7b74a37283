"""The holder's side: an encrypted vault, its keys, and the decisions made with it."""
