"""Files of arrays: one kind is not another, a head is bounded, old versions go."""

import hashlib
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.audience.person import MAX_DIMENSIONS
from bidder.campaigns.model import VECTOR_DIMENSIONS
from bidder.catalogue import sections
from bidder.catalogue.product import DIMENSIONS
from bidder.catalogue.sections import ArtifactError, Facts, open_version, publish

FACTS = Facts(advertiser="shop", count=3)


def sealed(folder: Path, body: bytes) -> str:
    """A file whose checksum is right, whatever is in it."""
    digest = hashlib.blake2b(body, digest_size=32)
    version = digest.hexdigest()[:32]
    (folder / f"{version}.bin").write_bytes(b"PACEARR1" + digest.digest() + body)
    return version


def test_what_is_written_is_what_is_opened(tmp_path: Path) -> None:
    """Arrays of every kind and shape, empty ones too, read-only and mapped."""
    arrays = {
        "keys": np.arange(3, dtype=np.uint64),
        "vectors": np.ones((3, 32), np.float16),
        "none": np.zeros((0, 32), np.float16),
        "rows": np.array([-1, 5], np.int32),
        "text": np.frombuffer(b"abc", np.uint8),
    }
    version = publish(tmp_path, "thing", FACTS, arrays, 0)
    opened = open_version(tmp_path, "thing", version)
    assert opened.facts == FACTS
    for name, array in arrays.items():
        assert opened.arrays[name].dtype == array.dtype
        assert (opened.arrays[name] == array).all()
    with pytest.raises(ValueError, match="read-only"):
        opened.arrays["keys"][0] = 1


def test_one_kind_is_not_another(tmp_path: Path) -> None:
    """A model is no catalogue, and a version under another's name is neither."""
    version = publish(tmp_path, "thing", FACTS, {}, 0)
    with pytest.raises(ArtifactError, match="a thing, not a catalogue"):
        open_version(tmp_path, "catalogue", version)
    os.rename(tmp_path / f"{version}.bin", tmp_path / f"{'0' * 32}.bin")
    with pytest.raises(ArtifactError, match="holds"):
        open_version(tmp_path, "thing", "0" * 32)


@pytest.mark.parametrize(
    "head",
    [
        b"{",
        b"[]",
        msgspec.json.encode({"kind": "thing", "facts": FACTS, "sections": [["a", "|O8", [1], 0]]}),
        msgspec.json.encode({"kind": "thing", "facts": FACTS, "sections": [["a", "<u8", [-1], 0]]}),
        msgspec.json.encode({"kind": "thing", "facts": FACTS, "sections": [["a", "<u8", [99], 0]]}),
        msgspec.json.encode({"kind": "thing", "facts": FACTS, "sections": [["a", "<u8", [1], 1 << 60]]}),
    ],
)
def test_a_head_that_lies_is_refused(tmp_path: Path, head: bytes) -> None:
    """Other types, sizes beyond the file, what is no head: ArtifactError though the checksum is right."""
    version = sealed(tmp_path, len(head).to_bytes(4, "little") + head)
    with pytest.raises(ArtifactError, match="head"):
        open_version(tmp_path, "thing", version)


def test_a_head_is_bounded(tmp_path: Path) -> None:
    """MAX_HEAD_BYTES, before anything is read of it."""
    version = sealed(tmp_path, (sections.MAX_HEAD_BYTES + 1).to_bytes(4, "little"))
    with pytest.raises(ArtifactError, match="too long"):
        open_version(tmp_path, "thing", version)


@given(body=st.binary(max_size=200))
def test_any_bytes_are_an_artifact_error(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    """With a right checksum or with none."""
    folder = tmp_path_factory.mktemp("any")
    version = sealed(folder, body)
    with pytest.raises(ArtifactError):
        open_version(folder, "thing", version)
    (folder / f"{version}.bin").write_bytes(body or b"x")
    with pytest.raises(ArtifactError):
        open_version(folder, "thing", version)


def test_vectors_have_one_length_everywhere() -> None:
    """Of products, line items and people."""
    assert DIMENSIONS == VECTOR_DIMENSIONS <= MAX_DIMENSIONS
