"""A bill as FOCUS 1.0, the FinOps Open Cost and Usage Specification (focus.finops.org): one row per line.

Amounts are decimals, exact to the nano-dollar. What FOCUS has no column for stands in columns of our own, `x_...`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from archlab.ledger.lines import cost
from archlab.ledger.sharing import section
from archlab.spec.money import Line, Price, PriceBook, Purchase, Resource

VERSION = "1.0"
PROVIDER = "archlab"
_NANO = Decimal(10) ** -9
_UNIT_PRICE = Decimal(10) ** -18
_TENTH = Decimal("0.1")
"""Quantities are whole; with a digit after the point every reader takes them for decimals, as FOCUS wants."""

_UNITS = {
    Resource.ONLINE_CPU: "Millicore-Seconds",
    Resource.BATCH_CPU: "Millicore-Seconds",
    Resource.MATERIALIZE_CPU: "Millicore-Seconds",
    Resource.PLATFORM_CPU: "Millicore-Seconds",
    Resource.LOOKUP: "Requests",
    Resource.DEVICE: "Device-Milliseconds",
    Resource.DEVICE_SLICE: "Slice-Milliseconds",
    Resource.TRAINING_CPU: "Millicore-Seconds",
    Resource.STORAGE: "KiB-Seconds",
    Resource.TRANSFER: "KiB",
}
_SERVICES = {
    "online": "Online inference",
    "batch": "Batch inference",
    "training": "Model training",
    "storage": "Model storage",
    "features": "Feature store",
    "platform": "ML platform",
    "commitment": "Committed capacity",
}
_PRICING = {Purchase.ON_DEMAND: "Standard", Purchase.SPOT: "Dynamic", Purchase.RESERVED: "Committed"}
UNUSED = "commitment"
"""Mode of lines for what nobody drew from a commitment."""

TIMES = ("BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart")
COSTS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")
UNIT_PRICES = ("ContractedUnitPrice", "ListUnitPrice")
QUANTITIES = ("ConsumedQuantity", "PricingQuantity")
INTEGERS = ("x_CostNanoUsd",)
COLUMNS = (
    *("AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency"),
    *("BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription"),
    *("ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "CommitmentDiscountCategory"),
    *("CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountStatus", "CommitmentDiscountType"),
    *("ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost"),
    *("InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit"),
    *("ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType"),
    *("ServiceCategory", "ServiceName", "SkuId", "SkuPriceId", "SubAccountId", "SubAccountName", "Tags"),
    *("x_Kind", "x_Mode", "x_Basis", "x_UsageId", "x_CostNanoUsd"),
    *("x_LineId", "x_Section", "x_Reason", "x_CorrectsLineId", "x_BookedBy"),
)
"""The 43 columns of FOCUS 1.0 in its own order, then ours."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """Whose bill it is: a lab, with its teams as sub-accounts.

    Attributes:
        teams: titles by name.
        prices: what is on demand costs so much by the list.
    """

    id: str
    name: str
    currency: str
    teams: Mapping[str, str]
    prices: PriceBook


def rows(lines: Iterable[Line], account: Account) -> list[Row]:
    """One row per line, in the lines' order: times in UTC, amounts as Decimal, absent values as None."""
    return [_row(line, account) for line in lines]


def to_csv(found: Iterable[Row]) -> bytes:
    """UTF-8 with a header; times in ISO 8601, decimals in plain notation, absent values empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_text(row[name]) for name in COLUMNS] for row in found)
    return text.getvalue().encode()


def to_parquet(found: Iterable[Row]) -> bytes:
    """Costs as decimal(38, 9), unit prices as decimal(38, 18), times as microseconds in UTC."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, _arrow_type(name)) for name in COLUMNS])
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(found), schema=schema), file)
    return file.getvalue()


def _row(line: Line, account: Account) -> Row:
    made = _whose(line, account) | _charge(line) | _commitment(line) | _ours(line)
    made |= _nothing_more(line) if line.corrects else _prices(line, account.prices)
    made |= dict.fromkeys(("BilledCost", "EffectiveCost"), line.cost_nanousd * _NANO)
    return dict.fromkeys(COLUMNS) | made


def _whose(line: Line, account: Account) -> Row:
    start, end = _month(line.accounted)
    what = line.model or line.commitment or "platform"
    return {
        **dict.fromkeys(("InvoiceIssuerName", "ProviderName", "PublisherName"), PROVIDER),
        "BillingAccountId": account.id,
        "BillingAccountName": account.name,
        "BillingCurrency": account.currency,
        "BillingPeriodStart": start,
        "BillingPeriodEnd": end,
        "ResourceId": what,
        "ResourceName": what,
        "ResourceType": "Model" if line.model else "Commitment" if line.commitment else "Platform",
        "SubAccountId": line.team or None,
        "SubAccountName": account.teams.get(line.team, line.team) or None,
    }


def _charge(line: Line) -> Row:
    said = f"{line.resource.value} of {line.model or 'platform'}, {line.mode}: {line.kind.value}"
    if line.corrects:
        said = f"Correction of line {line.corrects}, {said}"
    return {
        "ChargeCategory": "Usage",
        "ChargeClass": "Correction" if line.corrects else None,
        "ChargeDescription": f"{said} ({line.reason})" if line.reason else said,
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": line.start,
        "ChargePeriodEnd": line.end,
        "PricingCategory": _PRICING[line.purchase],
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": _SERVICES.get(line.mode, line.mode),
        "SkuId": line.resource.value,
        "SkuPriceId": f"{line.resource.value}/{line.purchase}/{line.unit_price_nanousd}/{line.unit_price_per}",
        "Tags": json.dumps({"team": line.team, "model": line.model, "mode": line.mode, "kind": line.kind.value}),
    }


def _commitment(line: Line) -> Row:
    if not line.commitment:
        return {}
    return {
        "CommitmentDiscountCategory": "Usage",
        "CommitmentDiscountId": line.commitment,
        "CommitmentDiscountName": line.commitment,
        "CommitmentDiscountStatus": "Unused" if line.mode == UNUSED else "Used",
        "CommitmentDiscountType": "Reserved capacity",
    }


def _prices(line: Line, prices: PriceBook) -> Row:
    """What it costs by the list; a commitment's price is set against that for the same on demand."""
    listed = Price(
        resource=line.resource, effective=line.start, nanousd=line.unit_price_nanousd, per=line.unit_price_per
    )
    if line.commitment:
        listed = prices.known(line.resource, line.start) or listed
    unit_price = (listed.nanousd * _NANO / listed.per).quantize(_UNIT_PRICE)
    quantity = Decimal(line.quantity).quantize(_TENTH)
    return {
        **dict.fromkeys(("ContractedCost", "ListCost"), cost(line.quantity, listed) * _NANO),
        **dict.fromkeys(UNIT_PRICES, unit_price),
        **dict.fromkeys(QUANTITIES, quantity),
        **dict.fromkeys(("ConsumedUnit", "PricingUnit"), _UNITS[line.resource]),
    }


def _nothing_more(line: Line) -> Row:
    """A correction is an amount, not a quantity at a price."""
    return dict.fromkeys(("ContractedCost", "ListCost"), line.cost_nanousd * _NANO)


def _ours(line: Line) -> Row:
    return {
        "x_Kind": line.kind.value,
        "x_Mode": line.mode,
        "x_Basis": line.basis.value,
        "x_UsageId": line.usage_id,
        "x_CostNanoUsd": line.cost_nanousd,
        "x_LineId": line.id,
        "x_Section": section(line).value,
        "x_Reason": line.reason or None,
        "x_CorrectsLineId": line.corrects or None,
        "x_BookedBy": line.booked_by or None,
    }


def _month(moment: datetime) -> tuple[datetime, datetime]:
    """The calendar month around a moment, in UTC; the end is exclusive."""
    start = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month = start.year * 12 + start.month
    return start, start.replace(year=month // 12, month=month % 12 + 1)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _arrow_type(name: str) -> Any:
    import pyarrow as pa

    if name in TIMES:
        return pa.timestamp("us", tz="UTC")
    if name in INTEGERS:
        return pa.int64()
    if name in UNIT_PRICES:
        return pa.decimal128(38, 18)
    return pa.decimal128(38, 9) if name in (*COSTS, *QUANTITIES) else pa.string()
