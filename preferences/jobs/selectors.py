"""Reads of workers."""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from preferences.jobs.models import Worker

# A worker reports every few seconds; one that has been silent for longer than this is gone.
WORKER_SILENCE = timedelta(seconds=15)


def heard_lately() -> "QuerySet[Worker]":
    """The workers that report."""
    return Worker.objects.filter(seen_at__gt=timezone.now() - WORKER_SILENCE)


def workers() -> list[Worker]:
    """The same, by name."""
    return list(heard_lately().order_by("name"))
