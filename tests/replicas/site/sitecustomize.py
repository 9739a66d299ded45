"""Every Python that the walk starts begins with this: only the packages of `make run`, and the patches."""

from tests.replicas import guard, patches

guard.install()
patches.on_import()
