from django.apps import AppConfig


class IpoSiteConfig(AppConfig):
    name = "ipo_site"

    def ready(self) -> None:
        # Makes our Celery application the one that shared tasks bind to, in the web process too.
        from ipo_site import celery  # noqa: F401, PLC0415
