"""The web process must stay light: it never loads torch."""

import subprocess
import sys


def test_the_web_process_never_imports_torch():
    code = (
        "import sys; import ipo_site.wsgi; from django.urls import get_resolver; get_resolver().url_patterns;"
        "from preferences import urls;"
        "print([name for name in ('torch', 'diffusers', 'transformers', 'scipy', 'xgboost') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
