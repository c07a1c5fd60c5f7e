"""One schema for the files of a folder, or an error that names the file that has no part in it."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import types

_MISSING_PARTITION = "__HIVE_DEFAULT_PARTITION__"


def unite_schemas(schemas: Iterable[tuple[str, pa.Schema]]) -> pa.Schema:
    """Return the columns of all files, each in a type that holds its values in every file.

    Parameters
    ----------
    schemas : iterable of (str, pyarrow.Schema)
        Of each file, with its name.

    Raises
    ------
    ValueError
        A column is text here and a number there, or has a zone here and none there.
    """
    united: dict[str, tuple[str, pa.DataType]] = {}
    for file, schema in schemas:
        for field in schema:
            before, dtype = united.get(field.name, (file, field.type))
            common = _common(dtype, field.type)
            if common is None:
                zones = types.is_timestamp(dtype) and types.is_timestamp(field.type)
                hint = "give all times a zone, or none" if zones else "give it one type"
                raise ValueError(
                    f"column {field.name!r} is {dtype} in {before!r} and {field.type} in {file!r}: "
                    f"{hint}"
                )
            united[field.name] = (before if common == dtype else file, common)
    return pa.schema([(name, dtype) for name, (_, dtype) in united.items()])


def partition_keys(files: list[Path], folder: Path) -> list[dict[str, str | int | None]]:
    """Return what folders called ``name=value`` say of each file.

    Values are whole numbers where that changes none of them (as it would "01").
    """
    found = []
    for file in files:
        parts = file.relative_to(folder).parts[:-1] if file != folder else ()
        pairs = [part.split("=", 1) for part in parts if "=" in part]
        found.append({unquote(name): unquote(value) for name, value in pairs})
    numeric = {name: True for keys in found for name in keys}
    for keys in found:
        for name, value in keys.items():
            numeric[name] &= value == _MISSING_PARTITION or _is_canonical(value)
    return [
        {
            name: None if value == _MISSING_PARTITION else int(value) if numeric[name] else value
            for name, value in keys.items()
        }
        for keys in found
    ]


def _is_canonical(value: str) -> bool:
    return len(value) < 19 and value.removeprefix("-").isdecimal() and str(int(value)) == value


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if one == other or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    if types.is_dictionary(one) or types.is_dictionary(other):
        plain = [d.value_type if types.is_dictionary(d) else d for d in (one, other)]
        return _common(*plain)
    if all(
        types.is_string(d) or types.is_large_string(d) or types.is_string_view(d)
        for d in (one, other)
    ):
        return pa.large_string()
    if types.is_integer(one) and types.is_integer(other):
        return pa.int64()
    if all(
        types.is_integer(d) or types.is_floating(d) or types.is_decimal(d) for d in (one, other)
    ):
        return pa.float64()
    dated = [types.is_date(d) or types.is_timestamp(d) for d in (one, other)]
    if all(dated):
        zones = {bool(types.is_timestamp(d) and d.tz) for d in (one, other)}
        return None if len(zones) > 1 else pa.timestamp("us", "UTC" if zones.pop() else None)
    return None
