from django.urls import path

from generation.server.api import api

urlpatterns = [path("", api.urls)]
