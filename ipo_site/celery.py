"""The Celery application, and what a worker that draws does besides its tasks."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ipo_site.settings")

app = Celery("ipo_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["preferences"])
