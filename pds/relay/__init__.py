"""The relay: it stands between holders and companies, and reads nothing.

It keeps sealed packages and messages, releases a package only to the key, in the window and as
often as its ticket says, and records each release in an append-only log. It never sees a grant,
a purpose or a name: this package loads none of the code that could read them.

``pds.relay.app.create_app`` makes the WSGI application; ``pds.serve`` puts it on a port.
"""
