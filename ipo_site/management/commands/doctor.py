"""Says what works on this machine, and what to do about the rest."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ipo_site.launch import doctor


class Command(BaseCommand):
    help = (
        "Look at everything that IPO needs: servers, workers, GPU, disk, models. Exit status 1 if something is wrong."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        problems = 0
        for finding in doctor.findings():
            problems += finding.is_problem
            mark = self.style.ERROR("problem") if finding.is_problem else self.style.SUCCESS("ok     ")
            self.stdout.write(f"{mark}  {finding.about}: {finding.said}")
        if problems:
            raise CommandError(f"{problems} problem{'' if problems == 1 else 's'}, see above.")
        self.stdout.write("All is well.")
