"""Searches for the settings of XGBoost: begun, ended, and kept from trial to trial."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from preferences.jobs import leases
from preferences.jobs import services as jobs
from preferences.jobs.leases import Lease
from preferences.jobs.models import Job
from preferences.sessions.models import Session
from preferences.sessions.services import update_controls
from preferences.tuning.models import Search

MAKE_TRIAL = "preferences.tasks.make_trial"
WANTED = 100  # trials


@transaction.atomic
def start_search(session: Session) -> Search:
    """Ask for a search, or get the one that runs already."""
    Session.objects.select_for_update().get(pk=session.pk)
    running = _running(session)
    if running is not None:
        return running
    job = jobs.submit(
        MAKE_TRIAL,
        owner_id=session.owner_id,
        subject=str(session.pk),
        queue="cpu",
        total=WANTED,
        priority=Job.Priority.BACKGROUND,
    )
    return Search.objects.create(session=session, job=job)


@transaction.atomic
def stop_search(session: Session) -> None:
    """End the running search; the session takes the best of what was tried."""
    Session.objects.select_for_update().get(pk=session.pk)  # before its searches, as everywhere
    search = _running(session)
    if search is not None and jobs.cancel(search.job):
        _take_best(Search.objects.select_related("session").get(pk=search.pk))


@transaction.atomic
def add_trial(lease: Lease, search: Search, settings: Mapping[str, Any], loss: float) -> None:
    """Keep a trial, and let the next one have its turn; after the last the session takes the best."""
    Session.objects.select_for_update().get(pk=search.session_id)  # before its searches
    with lease.held() as is_ours:
        if not is_ours:
            return
        search.trials.append({"settings": dict(settings), "loss": loss})
        search.save(update_fields=["trials"])
        done = len(search.trials)
        if done < search.job.total:
            leases.pause(lease, done=done)
        else:
            leases.finish(lease, done=done)
            _take_best(search)


def _running(session: Session) -> Search | None:
    return session.searches.select_related("job").filter(job__state__in=Job.ACTIVE).first()


def _take_best(search: Search) -> None:
    if search.best is not None:
        update_controls(search.session, search.best["settings"])
