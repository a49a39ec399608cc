"""The Structs against the machine-readable spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openrtb import request as req
from openrtb import response as res

OBJECTS = [
    *(getattr(req, name) for name in req.__all__),
    res.BidResponse,
    res.SeatBid,
    res.Bid,
]
OURS_ALONE = {"Native.request_native"}  # written by adapters of Prebid.js
LEFT_OUT = {"Producer"}  # purely descriptive
NOT_IN_SPEC = {"RequestExt", "SourceExt", "RegsExt", "ImpExt", "ImpExtPrebid", "VideoExt", "InventoryExt"} | {
    "DeviceExt",
    "UserExt",
    "DSA",
    "DSATransparency",
}
JSON_TYPES = {
    "string": {"string"},
    "integer": {"integer"},
    "float": {"number"},
    "object": {"object"},
}


@pytest.fixture(scope="module")
def spec(corpus: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((corpus / "spec" / "spec_26.json").read_text())
    return loaded


def _kinds(kind: msgspec.inspect.Type) -> tuple[set[str], bool]:
    """(JSON types, is a list) of a Struct field's type."""
    names = {
        msgspec.inspect.StrType: "string",
        msgspec.inspect.IntType: "integer",
        msgspec.inspect.BoolType: "integer",
        msgspec.inspect.FloatType: "number",
        msgspec.inspect.StructType: "object",
        msgspec.inspect.DictType: "object",
    }
    kinds = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    lists = [t for t in kinds if isinstance(t, msgspec.inspect.ListType)]
    if lists:
        return _kinds(lists[0].item_type)[0], True
    return {names[type(t)] for t in kinds if not isinstance(t, msgspec.inspect.NoneType)}, False


def test_every_field_is_one_of_the_spec_with_its_type(spec: dict[str, Any]) -> None:
    """Each field of each Struct stands in OpenRTB 2.6 with a compatible type, but the named extensions."""
    wrong = []
    for cls in OBJECTS:
        if cls.__name__ in NOT_IN_SPEC:
            continue
        fields = spec[cls.__name__]["fields"]
        for field in msgspec.inspect.type_info(cls).fields:
            place = f"{cls.__name__}.{field.name}"
            if field.name == "ext" or place in OURS_ALONE:
                continue
            if field.name not in fields:
                wrong.append(f"{place} is not in the spec")
                continue
            kinds, is_list = _kinds(field.type)
            wanted = fields[field.name]
            if is_list != wanted["array"] or not JSON_TYPES[wanted["type"]] & kinds:
                wrong.append(f"{place}: {kinds} list={is_list}, spec {wanted['raw']}")
    assert wrong == []


def test_every_object_and_required_field_of_the_spec_is_there(spec: dict[str, Any]) -> None:
    """Each object of the spec has a Struct, and each required field of it a place."""
    structs = {cls.__name__: cls for cls in OBJECTS}
    assert set(spec) - set(structs) == LEFT_OUT
    for name in set(spec) - LEFT_OUT:
        required = {field for field, facts in spec[name]["fields"].items() if facts["required"]}
        assert required <= set(structs[name].__struct_fields__), name


def test_no_struct_is_tracked_by_the_collector() -> None:
    """A decoded request costs the garbage collector nothing."""
    assert all(not cls.__struct_config__.gc for cls in OBJECTS)
