from django.apps import AppConfig


class PreferencesConfig(AppConfig):
    name = "preferences"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from preferences.library import files  # noqa: F401, PLC0415 - it listens to what is deleted; models must be there first
