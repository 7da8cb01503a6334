"""The bill as FOCUS: whole, exact to the nano-dollar, and as the FinOps Foundation's own validator wants it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from benchmarks.serving.environments import NotBuiltError, ensure

from archlab.ledger import focus
from archlab.spec.money import Basis, Line, LineKind, Price, PriceBook, Purchase, Resource

START = datetime(2013, 12, 31, 23, 30, tzinfo=UTC)
VALIDATOR = ("focus-validator==1.0.0", "multimethod==1.12", "setuptools<81")
"""With the newest multimethod that its schema library still works with."""
EARLIER_NAMES = {
    "ChargeType": "ChargeCategory",
    "InvoiceIssuer": "InvoiceIssuerName",
    "Provider": "ProviderName",
    "Publisher": "PublisherName",
    "ResourceID": "ResourceId",
}
PRICES = PriceBook(
    source="test",
    prices=(Price(resource=Resource.ONLINE_CPU, effective=datetime(2013, 1, 1, tzinfo=UTC), nanousd=13_900, per=1000),),
)
ACCOUNT = focus.Account("my-lab", "Ten models", "USD", {"operations": "Operations"}, PRICES)


def line(cost: int = 1_234_567_891, **changes: object) -> Line:
    return Line.model_validate(
        {
            "usage_id": "online/2013-12-31",
            "start": START,
            "end": START + timedelta(minutes=30),
            "team": "operations",
            "model": "flight-time",
            "mode": "online",
            "kind": LineKind.USED,
            "resource": Resource.ONLINE_CPU,
            "quantity": 900_000,
            "unit_price_nanousd": 13_900,
            "unit_price_per": 1000,
            "cost_nanousd": cost,
            "basis": Basis.METERED,
            **changes,
        }
    )


def every_kind() -> list[Line]:
    """Lines of every resource and kind, some of them without a model."""
    found = [
        line(cost, resource=resource, kind=kind)
        for cost, (resource, kind) in enumerate((r, k) for r in Resource for k in LineKind)
    ]
    return [
        *found,
        line(7, model="", team="platform", mode="platform"),
        line(0),
        line(10**18 + 1),
        *bought(),
        nobodys(),
        corrected(),
    ]


def bought() -> list[Line]:
    """Spot, out of a commitment, and what nobody drew from it."""
    reserved = {"purchase": Purchase.RESERVED, "commitment": "cores", "unit_price_nanousd": 8_000}
    return [
        line(3, purchase=Purchase.SPOT, mode="batch", resource=Resource.BATCH_CPU),
        line(7_200_000_000, **reserved),
        line(800_000, model="", mode="commitment", kind=LineKind.IDLE, quantity=100_000, **reserved),
    ]


def nobodys() -> Line:
    return line(5, team="", model="adhoc", kind=LineKind.UNALLOCATED, reason="it names no team")


def corrected() -> Line:
    booked = datetime(2014, 1, 3, tzinfo=UTC)
    why = {"reason": "metered twice", "corrects": line().id, "booked": booked, "booked_by": "approver"}
    return line(-5_000_000_001, usage_id="correction/1/1", quantity=0, **why)


def read_csv(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def test_amounts_are_exact_to_the_nano_dollar() -> None:
    lines = every_kind()
    read = read_csv(focus.to_csv(focus.rows(lines, ACCOUNT)))
    for one, row in zip(lines, read, strict=True):
        assert Decimal(row["BilledCost"]) * 10**9 == one.cost_nanousd == int(row["x_CostNanoUsd"])
    assert sum(Decimal(row["EffectiveCost"]) for row in read) * 10**9 == sum(one.cost_nanousd for one in lines)


def test_a_row_says_who_pays_for_what() -> None:
    (row,) = focus.rows([line()], ACCOUNT)
    assert (row["BillingAccountId"], row["SubAccountId"], row["SubAccountName"]) == (
        "my-lab",
        "operations",
        "Operations",
    )
    assert (row["ResourceId"], row["SkuId"], row["PricingUnit"]) == ("flight-time", "online_cpu", "Millicore-Seconds")
    assert row["ListUnitPrice"] * row["PricingQuantity"] == Decimal("0.01251")
    assert json.loads(row["Tags"]) == {"team": "operations", "model": "flight-time", "mode": "online", "kind": "used"}


def test_what_was_committed_to_is_set_against_the_list() -> None:
    spot, drawn, unused = focus.rows(bought(), ACCOUNT)
    assert [row["PricingCategory"] for row in (spot, drawn, unused)] == ["Dynamic", "Committed", "Committed"]
    assert (spot["CommitmentDiscountId"], drawn["CommitmentDiscountId"]) == (None, "cores")
    assert [row["CommitmentDiscountStatus"] for row in (drawn, unused)] == ["Used", "Unused"]
    assert drawn["ListCost"] == drawn["ListUnitPrice"] * drawn["PricingQuantity"] == Decimal("0.01251")
    assert (drawn["EffectiveCost"], unused["ResourceType"]) == (Decimal("7.2"), "Commitment")


def test_a_correction_is_an_amount_of_the_month_it_was_booked_in() -> None:
    (row,) = focus.rows([corrected()], ACCOUNT)
    assert (row["ChargeClass"], row["x_CorrectsLineId"], row["x_BookedBy"]) == ("Correction", line().id, "approver")
    assert (row["BilledCost"], row["PricingQuantity"]) == (Decimal("-5.000000001"), None)
    assert (row["ChargePeriodStart"], row["BillingPeriodStart"]) == (START, datetime(2014, 1, 1, tzinfo=UTC))


def test_what_nobody_pays_has_no_account_and_says_why() -> None:
    (row,) = focus.rows([nobodys()], ACCOUNT)
    assert (row["SubAccountId"], row["x_Section"], row["x_Reason"]) == (None, "unallocated", "it names no team")


def test_the_last_half_hour_of_a_year_is_in_its_last_month() -> None:
    (row,) = focus.rows([line()], ACCOUNT)
    assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == (
        datetime(2013, 12, 1, tzinfo=UTC),
        datetime(2014, 1, 1, tzinfo=UTC),
    )
    (written,) = read_csv(focus.to_csv([row]))
    assert written["ChargePeriodEnd"] == "2014-01-01T00:00:00Z"


def test_parquet_holds_what_csv_holds(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rows = focus.rows(every_kind(), ACCOUNT)
    path = tmp_path / "bill.parquet"
    path.write_bytes(focus.to_parquet(rows))
    assert pq.read_table(path).to_pylist() == rows


def test_nothing_on_the_books_is_a_header() -> None:
    assert focus.to_csv([]).decode().strip().split(",") == list(focus.COLUMNS)
    assert focus.to_parquet([])


@pytest.fixture(scope="module")
def validator() -> Path:
    """The program, from an environment of its own."""
    try:
        return Path(ensure("focus-validator", print, requirements=VALIDATOR).program("focus-validator"))
    except NotBuiltError as error:
        pytest.skip(f"the FOCUS validator can't be installed here: {error}")


def complaints(validator: Path, rows: list[focus.Row], file: Path) -> str:
    """What the validator has against a bill; empty when nothing.

    Its rules for 1.0 ask for five columns by names of earlier drafts; they are handed over under these names as well.
    """
    bill = pd.read_csv(io.BytesIO(focus.to_csv(rows)), dtype=str)
    bill.assign(**{old: bill[name] for old, name in EARLIER_NAMES.items()}).to_csv(file, index=False)
    packages = next(validator.parents[1].glob("lib/python*/site-packages"))  # it looks for currencies from here
    command = [str(validator), "--data-file", str(file), "--validate-version", "1.0"]
    done = subprocess.run(command, cwd=packages, capture_output=True, text=True, check=False, timeout=120)
    if "Validation succeeded" in done.stdout:
        return ""
    return done.stdout + done.stderr


@pytest.mark.slow
def test_the_finops_foundations_validator_passes_it(validator: Path, tmp_path: Path) -> None:
    rows = focus.rows(every_kind(), ACCOUNT)
    assert not complaints(validator, rows, tmp_path / "bill.csv")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "value"),
    [("BillingCurrency", "XYW"), ("ChargePeriodStart", "yesterday"), ("BilledCost", None)],
)
def test_the_validator_does_not_pass_everything(validator: Path, tmp_path: Path, column: str, value: str) -> None:
    rows = [{**row, column: value} for row in focus.rows(every_kind(), ACCOUNT)]
    assert column in complaints(validator, rows, tmp_path / "bill.csv")
