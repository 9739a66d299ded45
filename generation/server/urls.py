from django.conf import settings
from django.urls import path

from generation import registry
from generation.server.api import api, service

urlpatterns = [path("", api.urls)]

if preloaded := registry.named(settings.IPO_MODELS, settings.IPO_PRELOAD):
    service.preload(preloaded)
