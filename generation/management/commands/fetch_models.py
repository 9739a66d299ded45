"""Downloads models ahead of their first use."""

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from generation import installed, registry
from generation.errors import GenerationError
from generation.manager import ModelManager
from generation.progress import Progress

SHOW_SECONDS = 0.2


class Command(BaseCommand):
    help = "Download models, so that their first picture need not wait for it."
    requires_system_checks = ()
    _shown = 0.0  # when the line of progress was written

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("keys", nargs="+", metavar="KEY", help=f"of: {', '.join(settings.IPO_MODELS)}")

    def handle(self, *args: Any, keys: list[str], **options: Any) -> None:
        try:
            specs = [registry.get(settings.IPO_MODELS, key) for key in keys]
        except GenerationError as error:
            raise CommandError(str(error)) from error
        manager, problems = ModelManager(), []
        # Elsewhere the log has a line now and then.
        on_progress, clear = (self._show, "\r\033[K") if self.stdout.isatty() else (None, "")
        for spec in specs:
            try:
                manager.fetch(spec, on_progress)
            except GenerationError as error:
                problems.append(str(error))
                continue
            self.stdout.write(f"{clear}{spec.key} is here ({installed.look(spec).gigabytes:.2f} GB).")
        if problems:
            raise CommandError("\n".join(problems))

    def _show(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._shown > SHOW_SECONDS:
            self._shown = now
            self.stdout.write(f"\r{progress.model}: {progress}\033[K", ending="")
            self.stdout.flush()
