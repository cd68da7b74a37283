"""A company's side: ask, collect, redeem, hold only what a live grant covers, erase and attest.

``client.Company`` has the verbs, ``register.Register`` the answer to "may I use this now?".
"""
