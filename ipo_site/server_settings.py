"""Django's settings of the HTTP generation service: no database, no pages, no cookies."""

from ipo_site import env
from ipo_site.settings import *  # noqa: F403

ROOT_URLCONF = "generation.server.urls"
INSTALLED_APPS = ["generation", "ninja", "django.contrib.staticfiles"]
# The description at /docs brings its script along: nothing is fetched from elsewhere.
MIDDLEWARE = ["generation.server.middleware.only_json", "whitenoise.middleware.WhiteNoiseMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
if env.GENERATION_TOKEN:
    ALLOWED_HOSTS = ["*"]  # it may listen beyond this machine, by whatever name
# A batch of whole prompt embeddings as JSON.
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 2**20
