"""From the bytes of a request to features: each by its name, and of the dtype of the training."""

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
import numpy as np

from rfmrisk.scoring.features import Columns, of_values
from rfmrisk.scoring.values import check_numbers, not_allowed, shown
from rfmrisk.serving.bodies import CustomerId, check_customers, decoded_by
from rfmrisk.serving.settings import Settings


class FeatureReader:
    """Reads requests of customers with their features.

    Parameters
    ----------
    typical : mapping of str to float, str or None
        A usual value of each feature of the model.
    used : collection of str
        Those that a request must have.
    settings : Settings
        The limits.
    """

    def __init__(
        self, typical: Mapping[str, Any], used: Collection[str], settings: Settings
    ) -> None:
        self._settings = settings
        self._used = [name for name in typical if name in used]
        self._texts = {name for name, value in typical.items() if isinstance(value, str)}
        others = [name for name in typical if name not in used]
        # Names of features need not be Python names, so they are the encoded ones.
        attributes = {name: f"feature_{n}" for n, name in enumerate([*self._used, *others])}
        kinds: dict[str, Any] = {
            name: str | None if isinstance(value, str) else float | None
            for name, value in typical.items()
        }
        fields: list[Any] = [(attributes[name], kinds[name]) for name in self._used]
        fields += [(attributes[name], kinds[name], None) for name in others]
        features = msgspec.defstruct(
            "Features",
            fields,
            rename={attribute: name for name, attribute in attributes.items()},
            forbid_unknown_fields=True,
            gc=False,
        )
        customer: Any = msgspec.defstruct(
            "Customer",
            [("customer_id", CustomerId), ("features", features)],
            forbid_unknown_fields=True,
        )
        request: Any = msgspec.defstruct(
            "Request", [("customers", list[customer])], forbid_unknown_fields=True
        )
        self._whole = msgspec.json.Decoder(request)
        self._piece = msgspec.json.Decoder(list[customer])

    def read(self, body: bytes) -> tuple[list[CustomerId], Columns]:
        """Return the ids of the customers of a request and their features.

        Raises
        ------
        Problem
            Names the first field at fault, and what is allowed.
        """
        ids, rows = decoded_by(self._whole, self._piece, body, self._collect)
        columns: Columns = {}
        for place, name in enumerate(self._used):
            values = [row[place] for row in rows]
            if name in self._texts:
                columns[name] = of_values(values)
                continue
            numbers = np.array(values, dtype=np.float64)
            check_numbers(numbers, partial(_field, name=name))
            columns[name] = numbers
        return ids, columns

    def _collect(self, pieces: Iterator[list[Any]]) -> tuple[list[CustomerId], list[tuple]]:
        ids: list[CustomerId] = []
        rows: list[tuple] = []
        for customers in pieces:
            ids += [customer.customer_id for customer in customers]
            rows += [msgspec.structs.astuple(customer.features) for customer in customers]
            check_customers(len(ids), self._settings)
        if not ids:
            raise not_allowed("customers", "must be a list of at least one customer")
        return ids, rows


def _field(row: int, name: str) -> str:
    return f"customers[{row}].features.{shown(name)}"
