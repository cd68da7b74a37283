"""The HTTP front: what every request must satisfy before the application sees it.

``serve`` puts any WSGI application behind a door. The application may rely on this:

- HTTP/1 only; the body is complete, as long as its ``Content-Length`` says, and no longer than
  ``max_body``;
- exactly one well-formed ``Host``, and one of ``allowed_hosts`` where that set is not empty;
- it runs in one of ``threads`` threads, and never waits there for a slow client;
- its environ holds nothing of the process's environment, no header whose name has an underscore,
  and no client address unless ``pass_address`` asks for it;
- it may let a request wait for something to happen (``ask_again``, ``wake``) without holding a
  thread meanwhile;
- one that has ``batched`` (routes by method and path) has requests of these answered together, by
  one thread, and is not called for them.

The front keeps no access log. What it refuses itself it answers with RFC 9457 problem details
whose ``code`` begins with ``front.`` and which never repeat the request.

Not done here: routing, rate limits, authentication, trust in ``X-Forwarded-*``.
"""

from pds.serve.batches import Batched
from pds.serve.run import serve
from pds.serve.settings import ServeError, ServeSettings
from pds.serve.supervisor import Service, supervise
from pds.serve.waiting import ask_again, wake
from pds.serve.wsgi import Response, WsgiApp

__all__ = [
    "Batched",
    "Response",
    "ServeError",
    "ServeSettings",
    "Service",
    "WsgiApp",
    "ask_again",
    "serve",
    "supervise",
    "wake",
]
