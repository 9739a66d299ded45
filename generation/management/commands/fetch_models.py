"""Downloads models ahead of their first use."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from generation import installed, registry
from generation.errors import GenerationError
from generation.manager import ModelManager


class Command(BaseCommand):
    help = "Download models, so that their first picture need not wait for it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("keys", nargs="+", metavar="KEY", help=f"of: {', '.join(settings.IPO_MODELS)}")

    def handle(self, *args: Any, keys: list[str], **options: Any) -> None:
        try:
            specs = [registry.get(settings.IPO_MODELS, key) for key in keys]
        except GenerationError as error:
            raise CommandError(str(error)) from error
        manager, problems = ModelManager(), []
        for spec in specs:
            try:
                manager.fetch(spec)
            except GenerationError as error:
                problems.append(str(error))
                continue
            self.stdout.write(f"{spec.key} is here ({installed.look(spec).gigabytes:.2f} GB).")
        if problems:
            raise CommandError("\n".join(problems))
