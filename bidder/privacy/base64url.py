"""Base64url text of consent strings as bytes.

Place: first step of `tcf` and `gpp`; nothing else reads consent strings.
Shapes: every character is 6 bits, most significant first; padding characters do not exist here.
Source: RFC 4648 section 5 without padding, as both consent formats use it.
"""

from binascii import a2b_base64

TAIL_BYTES = 6
"""At least so many zero bytes follow the text's own bits: readers may take a whole word near the end."""

_TAILS = tuple("A" * (8 + -length % 4) for length in range(4))
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_REFUSED = ord("!")


def _standard_alphabet() -> bytes:
    table = bytearray([_REFUSED]) * 256
    for char in _ALPHABET:
        table[char] = char
    table[ord("-")] = ord("+")
    table[ord("_")] = ord("/")
    return bytes(table)


_STANDARD = _standard_alphabet()


def decode_base64url(text: str) -> bytes | None:
    """The bits of `text`, big-endian, then at least `TAIL_BYTES` zero bytes; None if a character is foreign.

    The caller keeps the true length: 6 bits for each character of `text`.
    """
    try:
        padded = (text + _TAILS[len(text) & 3]).encode("ascii").translate(_STANDARD)
        return a2b_base64(padded, strict_mode=True)
    except ValueError:  # binascii.Error and UnicodeEncodeError are both ValueErrors
        return None
