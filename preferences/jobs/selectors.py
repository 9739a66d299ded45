"""Reads of workers."""

from datetime import timedelta

from django.utils import timezone

from preferences.jobs.models import Worker

# A worker reports every few seconds; one that has been silent for longer than this is gone.
WORKER_SILENCE = timedelta(seconds=15)


def workers() -> list[Worker]:
    """Those that were heard of lately."""
    return list(Worker.objects.filter(seen_at__gt=timezone.now() - WORKER_SILENCE).order_by("name"))
