"""What the privacy pages say, in each language.

Place: pages.py fills these in; a test holds both languages to the same names and the same places to fill.
Shapes: `words/<language>.toml`, one text per line, as it is read: whoever puts it into a page escapes it.
Never: a promise that the code does not keep.
"""

import tomllib
from importlib import resources
from types import MappingProxyType
from typing import Final

LANGUAGES: Final = ("en", "fr")
_MONTHS: Final = {
    "en": "January February March April May June July August September October November December",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
}
MONTHS: Final = {language: tuple(names.split()) for language, names in _MONTHS.items()}


def _read(language: str) -> MappingProxyType[str, str]:
    path = resources.files("bidder.rights").joinpath("words", f"{language}.toml")
    return MappingProxyType(tomllib.loads(path.read_text(encoding="utf-8")))


TEXTS: Final = {language: _read(language) for language in LANGUAGES}
