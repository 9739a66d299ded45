"""`python -m tests.replicas [KEY ...]`: every replica through the product's own door. Exit status 1 if one fails.

Needs neither pytest nor a database: it runs in the virtual environment that `make run` makes, and where there is more
than that it hides the rest. A hub of the replicas is served here; in the caches of two machines that know nothing yet,
the models are fetched, by `manage.py fetch_models` and by loading, looked at by `manage.py doctor`, and drawn with in
all spaces, in this process and by `manage.py generation_server`. Where there is a GPU, nothing is patched.
"""

import os
import sys
import tempfile
from pathlib import Path

from tests.generation import hub
from tests.replicas import GATED, guard, patches

TOKEN = "hf_that_accepted_the_licences"


def environment(folder: Path, address: str) -> dict[str, str]:
    """Of this process and all that it starts: a cache of its own, the hub at this address, no database, no token."""
    nowhere = "127.0.0.1:1"
    return {
        "PYTHONPATH": os.pathsep.join([str(guard.ROOT / "tests" / "replicas" / "site"), str(guard.ROOT)]),
        "HF_HOME": str(folder / "loading"),
        "HF_ENDPOINT": address,
        "HF_TOKEN": "",
        "HUGGINGFACE_HUB_TOKEN": "",
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "OMP_NUM_THREADS": "1",
        "DJANGO_SETTINGS_MODULE": "ipo_site.settings",
        "DATABASE_URL": f"postgresql://nobody@{nowhere}/nothing",
        "REDIS_URL": f"redis://{nowhere}/0",
        "IPO_DATA_DIR": str(folder / "data"),
        "IPO_DEFAULT_MODEL": "pocket-landscapes",
        "IPO_GENERATION_SERVER": "",
        "IPO_GENERATION_TOKEN": "",
        "IPO_SPEEDUPS": "",
    }


def main(keys: list[str]) -> int:
    guard.install()
    patches.on_import()
    with tempfile.TemporaryDirectory(prefix="ipo-replicas-") as name:
        folder = Path(name)
        repositories: dict[str, Path] = {}
        with hub.serving_all(repositories, GATED, TOKEN) as served:
            # Before anything is imported that reads them.
            os.environ |= environment(folder, served.address)
            from tests.replicas import walk

            return walk.Walk(folder, served, repositories, TOKEN).all(keys)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
