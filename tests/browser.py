"""The one real browser of the tests: where it is, how it is started, and what to say where there is none.

Shapes: CHROMIUM may be given by the variable CHROMIUM; a test that needs it is marked with `needs_browser`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

CHROMIUM: Final = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
needs_browser = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no Chromium at {CHROMIUM}")
