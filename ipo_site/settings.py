"""Django's settings. What differs from one installation to the next comes from ipo_site.env."""

import django_stubs_ext

from ipo_site import env
from ipo_site.launch.addresses import celery_url

# Lets Django's generic classes be written with their model: ModelAdmin[Session].
django_stubs_ext.monkeypatch()

BASE_DIR = env.BASE_DIR
DATA_DIR = env.DATA_DIR
SECRET_KEY = env.SECRET_KEY
DEBUG = env.DEBUG
# Only names of this machine: a page from elsewhere that rebinds its name to 127.0.0.1 is refused.
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]

INSTALLED_APPS = [
    "ipo_site.apps.IpoSiteConfig",
    "preferences",
    "generation",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "template_partials",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "ipo_site.middleware.LocalUserMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "preferences.pages.http.Refusals",
]

ROOT_URLCONF = "ipo_site.urls"
WSGI_APPLICATION = "ipo_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": {**env.DATABASE, "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Small signed cookies: a status poll should not ask the database who is there.
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
# Two copies on one machine (other ports) share the host name, and so their cookies.
SESSION_COOKIE_NAME = f"ipo_session_{env.PORT}"
CSRF_COOKIE_NAME = f"ipo_csrf_{env.PORT}"
CSRF_FAILURE_VIEW = "preferences.pages.errors.without_cookie"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
WHITENOISE_USE_FINDERS = True
MEDIA_ROOT = DATA_DIR / "pictures"
STORAGES = {
    # A preview takes the place of the one before; pictures have names of their own.
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"allow_overwrite": True},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
    },
}
REFERRER_POLICY = "same-origin"

REDIS_URL = env.REDIS_URL
CELERY_BROKER_URL = celery_url(env.REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_DEFAULT_QUEUE = "cpu"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# A child loads torch when it starts, which takes longer than the 4 seconds that billiard waits by default.
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 120
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A click should not hang when Redis is away: the sweep sends what was queued once it is back.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1}
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "preferences.tasks.sweep", "schedule": env.SWEEP_SECONDS},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    # Warns at each start that a faster way for the CPU is missing; four bits are for the GPU.
    # That a request waits for a thread is no news.
    "loggers": {"bitsandbytes": {"level": "ERROR"}, "waitress.queue": {"level": "ERROR"}},
}

# Of the web server (ipo_site.serving): the largest body, and what looks at headers before a body is read.
IPO_THREADS = 8
IPO_BODY_BYTES = 2_621_440  # as DATA_UPLOAD_MAX_MEMORY_SIZE
IPO_DOOR = ""
IPO_PRELOAD = env.SERVER_MODEL
IPO_LEASE_SECONDS = env.LEASE_SECONDS
IPO_WORKER_MODELS = env.WORKER_MODELS
IPO_SWEEP_SECONDS = env.SWEEP_SECONDS
# Write the settings of a picture into its PNG.
IPO_EMBED_SETTINGS = env.EMBED_SETTINGS
IPO_PREVIEWS = env.PREVIEWS
IPO_SPEEDUPS = env.SPEEDUPS
IPO_GENERATION_SERVER = env.GENERATION_SERVER
IPO_GENERATION_TOKEN = env.GENERATION_TOKEN
IPO_MODELS = env.MODELS
IPO_DEFAULT_MODEL = env.DEFAULT_MODEL
