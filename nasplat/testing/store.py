"""The conformance suite of stores: inherit it, supply the fixture ``store``, and yours is checked.

    class TestMine(StoreConformance):
        @pytest.fixture
        def store(self) -> Iterator[Store]:
            with Store.open("postgresql+psycopg://...") as store:
                yield store

The fixture gives an empty store for each test. Leases are tested in real time.
"""

from __future__ import annotations

from nasplat.testing.store_ledger import LedgerRules
from nasplat.testing.store_reading import ReadingRules
from nasplat.testing.store_results import ResultRules
from nasplat.testing.store_studies import StudyRules


class StoreConformance(StudyRules, ResultRules, LedgerRules, ReadingRules):
    """The rules of :class:`nasplat.store.store.Store`."""
