"""Where the service answers; what it has no route for, and what went wrong in it, it says in JSON as well."""

from django.conf import settings
from django.urls import path

from generation import registry
from generation.server.api import api, service

urlpatterns = [path("", api.urls)]
handler400 = "generation.server.problems.bad_request"
handler404 = "generation.server.problems.not_found"
handler500 = "generation.server.problems.failed"

if preloaded := registry.named(settings.IPO_MODELS, settings.IPO_PRELOAD):
    service.preload(preloaded)
