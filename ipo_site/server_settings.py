"""Django's settings of the HTTP generation service: no database, no pages, no cookies."""

from generation import wire
from ipo_site import env
from ipo_site.settings import *  # noqa: F403

ROOT_URLCONF = "generation.server.urls"
INSTALLED_APPS = ["generation", "ninja", "django.contrib.staticfiles"]
# The description at /docs brings its script along: nothing is fetched from elsewhere.
MIDDLEWARE = ["generation.server.middleware.only_json", "whitenoise.middleware.WhiteNoiseMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
if env.GENERATION_TOKEN:
    ALLOWED_HOSTS = ["*"]  # it may listen beyond this machine, by whatever name
IPO_BODY_BYTES = DATA_UPLOAD_MAX_MEMORY_SIZE = wire.MOST_BYTES
IPO_DOOR = "generation.server.door.refusal"
# More than the queue has places: there is always one for /health.
IPO_THREADS = 12
