"""Records the requests of the official Python client, as fixtures for the tests of packages/api.

    python3 interop/record.py

Needs Python 3.11 or later and PyPI. The client runs in a virtual environment of its own (interop/.venv) against a small
server on 127.0.0.1; nothing else is reached. The fixtures go to packages/api/test/fixtures/wire.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "packages" / "api" / "test" / "fixtures" / "wire"


def main() -> int:
    environment = HERE / ".venv"
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(environment, with_pip=True)
    requirements = str(HERE / "requirements.txt")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TINKER_", "CLOUDFLARE_"))}
    return subprocess.run([python, str(HERE / "scenarios.py"), str(FIXTURES)], env=clean).returncode


if __name__ == "__main__":
    sys.exit(main())
