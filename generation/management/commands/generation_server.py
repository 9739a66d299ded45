"""Serves this machine's models over HTTP."""

import ipaddress
import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from generation import registry


class Command(BaseCommand):
    help = "Draw for other machines: the HTTP generation service. Its description is at /docs."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="where it listens")
        parser.add_argument("--port", type=int, default=8580)

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        if not 1 <= port <= 65535:
            raise CommandError(f"--port is {port}: give a number from 1 to 65535.")
        if not _is_loopback(host) and not settings.IPO_GENERATION_TOKEN:
            raise CommandError(
                f"On {host} others could draw with this machine: set IPO_GENERATION_TOKEN in .env, or leave --host out."
            )
        wanted = settings.IPO_PRELOAD
        if wanted and registry.named(settings.IPO_MODELS, wanted) is None:
            known = ", ".join(settings.IPO_MODELS)
            raise CommandError(f"GEN_SERVER_MODEL is {wanted!r}: correct it to one of {known}.")
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.stdout.write(f"Drawing for http://{address}/ (described at /docs)")
        os.environ["DJANGO_SETTINGS_MODULE"] = "ipo_site.server_settings"
        os.execv(sys.executable, [sys.executable, "-m", "ipo_site.serving", host, str(port)])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
