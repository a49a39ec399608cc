"""Google Merchant XML (RSS 2.0 or Atom with the g: namespace), element by element.

Place: feed.py asks for rows, as of lines.py; the number is that of the line on which the item begins.
Limits: MAX_ITEM_CHARACTERS of one item, which is skipped above it; MAX_SILENT_BYTES that belong to one name, attribute
    or tag; no document type, no entities, nothing from elsewhere.
Raises: MerchantError where the document itself is at fault: what follows cannot be trusted to be whole.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler, feature_namespaces
from xml.sax.xmlreader import AttributesNSImpl, Locator

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

from bidder.catalogue.columns import column
from bidder.catalogue.lines import MAX_LINE_BYTES, ByteSource, Note, Row

MAX_ITEM_CHARACTERS: Final = MAX_LINE_BYTES
MAX_SILENT_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 64
CHUNK: Final = 65_536

GOOGLE: Final = "http://base.google.com/ns/1.0"
ATOM: Final = "http://www.w3.org/2005/Atom"
_ITEMS: Final = frozenset({(None, "item"), (None, "entry"), (ATOM, "entry")})
_SPACES: Final = frozenset({None, "", GOOGLE, ATOM})

Name = tuple[str | None, str]


class MerchantError(Exception):
    """The document cannot be read on."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def merchant_rows(stream: ByteSource, ignored: Note | None = None) -> Iterator[Row]:
    """Rows of a Merchant document, as its items end; `ignored` hears of the elements that are not read."""
    parser = DefusedExpatParser(forbid_dtd=True)
    parser.setFeature(feature_namespaces, True)
    items = _Items(ignored)
    parser.setContentHandler(items)
    items.setDocumentLocator(parser)  # which it does for a whole document alone
    silent = 0
    try:
        while chunk := stream.read(CHUNK):
            before = items.events
            parser.feed(chunk)
            silent = 0 if items.events != before else silent + len(chunk)
            if silent > MAX_SILENT_BYTES:
                raise MerchantError(items.line(), f"one tag is longer than {MAX_SILENT_BYTES:,} bytes")
            yield from items.taken()
        parser.close()
        yield from items.taken()
    except DefusedXmlException:
        raise MerchantError(items.line(), "document types and entities are not read") from None
    except SAXParseException as error:
        raise MerchantError(error.getLineNumber() or 0, f"not well-formed: {error.getMessage()}") from None
    except (ValueError, LookupError) as error:  # an encoding that nobody knows
        raise MerchantError(items.line(), f"cannot be read: {error}") from None


class _Items(ContentHandler):
    """Collects the text of each item's own children."""

    def __init__(self, ignored: Note | None) -> None:
        super().__init__()
        self._ignored = ignored
        self.events = 0
        self._done: deque[Row] = deque()
        self._locator: Locator | None = None
        self._depth = 0
        self._item_depth = 0
        """Where the item is that we are in; 0: in none."""
        self._begun = 0
        self._values: dict[str, str] = {}
        self._name: str | None = None
        self._text: list[str] = []
        self._size = 0

    def setDocumentLocator(self, locator: Locator) -> None:
        self._locator = locator

    def line(self) -> int:
        """The line that is being read; 0 before the first."""
        return (self._locator.getLineNumber() or 0) if self._locator else 0

    def taken(self) -> Iterator[Row]:
        """The items that have ended since, once."""
        while self._done:
            yield self._done.popleft()

    def startElementNS(self, name: Name, qname: str | None, attrs: AttributesNSImpl) -> None:
        self.events += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise MerchantError(self.line(), f"is nested deeper than {MAX_DEPTH}")
        if not self._item_depth:
            if name in _ITEMS:
                self._item_depth, self._begun, self._size = self._depth, self.line(), 0
                self._values = {}
        elif self._depth == self._item_depth + 1:
            self._name = column(name[1]) if name[0] in _SPACES else None
            self._text = []
            if self._name is None and self._ignored is not None:
                self._ignored(self.line(), name[1])
            href = attrs.get((None, "href"))
            if self._name == "link" and href:
                self._add(str(href))

    def characters(self, content: str) -> None:
        self.events += 1
        if self._item_depth:
            self._add(content)

    def _add(self, content: str) -> None:
        self._size += len(content)
        if self._name and self._size <= MAX_ITEM_CHARACTERS:
            self._text.append(content)

    def endElementNS(self, name: Name, qname: str | None) -> None:
        self.events += 1
        if self._item_depth and self._depth == self._item_depth:
            self._item_depth = 0
            self._done.append((self._begun, self._row()))
        elif self._name and self._depth == self._item_depth + 1:
            self._values.setdefault(self._name, "".join(self._text))
            self._name = None
        self._depth -= 1

    def _row(self) -> dict[str, str] | str:
        if self._size > MAX_ITEM_CHARACTERS:
            return f"is longer than {MAX_ITEM_CHARACTERS:,} characters"
        return self._values
