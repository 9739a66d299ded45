"""What can draw here."""

import os

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from generation import installed
from preferences.jobs import selectors as job_selectors


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """What can draw here: the models, and the workers that have them in memory."""
    workers = job_selectors.workers()
    rows = [
        (spec, installed.look(spec), [worker for worker in workers if worker.model == key])
        for key, spec in settings.IPO_MODELS.items()
    ]
    context = {"rows": rows, "workers": workers, "has_token": bool(os.environ.get("HF_TOKEN"))}
    context["free_gb"] = installed.free_gb()
    return render(request, "preferences/models.html", context)
