"""A genotype: the values of the active decisions of one candidate, by path. Plain data, no space inside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nasplat.errors import GenotypeError
from nasplat.space.decisions import Scalar


class Genotype(Mapping[str, Scalar]):
    """An immutable, hashable mapping from paths to JSON scalars.

    Equal when paths and values are; the order of paths is kept for reading and does not count.

    Args:
        values: The value of every active path.
    """

    __slots__ = ("_hash", "_values")

    def __init__(self, values: Mapping[str, Scalar]) -> None:
        self._values = dict(values)
        self._hash: int | None = None

    def __getitem__(self, path: str) -> Scalar:
        return self._values[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, path: object) -> bool:
        return path in self._values

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Genotype):
            return self._values == other._values
        return self._values == other if isinstance(other, Mapping) else NotImplemented

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._values.items()))
        return self._hash

    def __repr__(self) -> str:
        return f"Genotype({self._values!r})"

    def to_json(self) -> dict[str, Scalar]:
        """As plain data."""
        return dict(self._values)

    @classmethod
    def from_json(cls, data: Any) -> Genotype:
        """From plain data or from its text.

        Raises:
            GenotypeError: ``data`` is not an object of scalars.
        """
        if isinstance(data, str):
            try:
                data = json.loads(data)
            except json.JSONDecodeError as error:
                raise GenotypeError([f"not JSON: {error}"]) from error
        if not isinstance(data, Mapping):
            raise GenotypeError([f"expected an object of paths and values, got {data!r}"])
        strange = [
            f"{path} is {value!r}, expected a JSON scalar"
            for path, value in data.items()
            if not isinstance(value, (bool, int, float, str, type(None)))
        ]
        if strange:
            raise GenotypeError(strange)
        return cls(data)
