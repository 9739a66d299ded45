"""Searches for the settings of XGBoost: begun, ended, and kept from trial to trial."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from preferences.jobs.waking import MAKE_TRIAL, wake_on_commit
from preferences.sessions.models import Session
from preferences.sessions.services import update_controls
from preferences.tuning.models import Search

SEARCH_SILENCE = timedelta(minutes=2)


@transaction.atomic
def start_search(session: Session) -> Search:
    """Ask for a search, or get the one that runs already."""
    Session.objects.select_for_update().get(pk=session.pk)
    search = session.searches.filter(state=Search.State.RUNNING).first() or Search.objects.create(session=session)
    wake_on_commit(MAKE_TRIAL, search.pk)
    return search


@transaction.atomic
def stop_search(session: Session) -> None:
    """End the running search; the session takes the best of what was tried."""
    Session.objects.select_for_update().get(pk=session.pk)  # before its searches, as everywhere
    search = session.searches.select_for_update().filter(state=Search.State.RUNNING).first()
    if search is not None:
        _end_search(search, Search.State.STOPPED)


@transaction.atomic
def add_trial(search_id: int, number: int, settings: Mapping[str, Any], loss: float) -> bool:
    """Keep trial `number` (from 0). True when another is to follow; False when it was the last, or came too late."""
    Session.objects.select_for_update(of=("self",)).filter(searches=search_id).first()  # before its searches
    search = Search.objects.select_for_update().filter(pk=search_id, state=Search.State.RUNNING).first()
    if search is None or len(search.trials) != number:
        return False
    search.trials.append({"settings": dict(settings), "loss": loss})
    search.enqueued_at = timezone.now()
    search.save(update_fields=["trials", "enqueued_at"])
    if len(search.trials) < search.wanted:
        return True
    _end_search(search, Search.State.DONE)
    return False


def fail_search(search_id: int, error: str) -> None:
    """End a search with a sentence for the user; the settings stay as they are."""
    Search.objects.filter(pk=search_id, state=Search.State.RUNNING).update(
        state=Search.State.FAILED, error=error, finished_at=timezone.now()
    )


def searches_to_resume(silence: timedelta = SEARCH_SILENCE) -> list[int]:
    """Ids of running searches of which nothing was heard for so long: their message may be lost."""
    silent = timezone.now() - silence
    lost = Search.objects.filter(state=Search.State.RUNNING, enqueued_at__lt=silent)
    ids = list(lost.values_list("pk", flat=True))
    Search.objects.filter(pk__in=ids).update(enqueued_at=timezone.now())
    return ids


def _end_search(search: Search, state: str) -> None:
    search.state, search.finished_at = state, timezone.now()
    search.save(update_fields=["state", "finished_at"])
    if search.best is not None:
        update_controls(search.session, search.best["settings"])
