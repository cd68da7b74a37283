"""Counters of a relay for Prometheus: how much, how long, how often refused; never who or which.

Labels are routes as they stand in the program (``/v1/mailboxes/<id_>``), methods, statuses and
codes. Workers count in files of a common folder that prometheus-client maps into memory; whoever
shows them adds them up. Import this only after ``use_folder``.
"""

import os
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)

REQUESTS = Counter(
    "pds_relay_requests", "Requests that were answered.", ("method", "route", "status")
)
REFUSALS = Counter("pds_relay_refusals", "Refusals, by their code.", ("code",))
SECONDS = Histogram(
    "pds_relay_request_seconds", "How long answers took, without the network.", ("route",),
    buckets=_BUCKETS,
)  # fmt: skip


def count(*, method: str, route: str, status: int, code: str | None, seconds: float) -> None:
    """Count one answer."""
    REQUESTS.labels(method, route, str(status)).inc()
    SECONDS.labels(route).observe(seconds)
    if code is not None:
        REFUSALS.labels(code).inc()


def shown(folder: Path) -> tuple[bytes, str]:
    """What all workers have counted, as Prometheus reads it, and its media type."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST


def folder_in_use() -> str | None:
    """Where this process counts."""
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR")
