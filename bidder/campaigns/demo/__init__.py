"""The demo's book: three fictional shops under reserved domains, with creatives that need no internet.

Place: the service without a configuration, the demo and the tests.
"""

from importlib import resources
from pathlib import Path


def demo_book_path() -> Path:
    """The folder of the demo's campaign files."""
    return Path(str(resources.files(__name__)))
