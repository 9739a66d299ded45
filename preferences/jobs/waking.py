"""Messages that wake a worker. The rows decide what is done; a message that is lost or comes twice changes nothing."""

import logging
from functools import partial

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)
DRAW_BATCH = "preferences.tasks.draw_batch"
MAKE_TRIAL = "preferences.tasks.make_trial"


def wake_on_commit(task: str, subject: int) -> None:
    """Wake a worker for a row, by its id, as soon as the row can be seen by it."""
    transaction.on_commit(partial(wake, task, subject), robust=True)


def wake(task: str, subject: int) -> None:
    """If Redis is away, the sweep sends it again when it is back."""
    try:
        current_app.send_task(task, args=(subject,))
    except OperationalError:
        log.warning("Redis did not answer; %s of %s will be sent again when it does.", task, subject)
