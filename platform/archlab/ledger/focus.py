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

from archlab.spec.money import Line, Resource

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
}
_SERVICES = {
    "online": "Online inference",
    "batch": "Batch inference",
    "features": "Feature store",
    "platform": "ML platform",
}

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
)
"""The 43 columns of FOCUS 1.0 in its own order, then ours."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """Whose bill it is: a lab, with its teams as sub-accounts.

    Attributes:
        teams: titles by name.
    """

    id: str
    name: str
    currency: str
    teams: Mapping[str, str]


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
    cost = line.cost_nanousd * _NANO
    unit_price = (line.unit_price_nanousd * _NANO / line.unit_price_per).quantize(_UNIT_PRICE)
    period_start, period_end = _month(line.start)
    what = line.model or "platform"
    return dict.fromkeys(COLUMNS) | {
        **dict.fromkeys(COSTS, cost),
        **dict.fromkeys(UNIT_PRICES, unit_price),
        **dict.fromkeys(QUANTITIES, Decimal(line.quantity).quantize(_TENTH)),
        **dict.fromkeys(("ConsumedUnit", "PricingUnit"), _UNITS[line.resource]),
        **dict.fromkeys(("InvoiceIssuerName", "ProviderName", "PublisherName"), PROVIDER),
        "BillingAccountId": account.id,
        "BillingAccountName": account.name,
        "BillingCurrency": account.currency,
        "BillingPeriodStart": period_start,
        "BillingPeriodEnd": period_end,
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{line.resource.value} of {what}, {line.mode}: {line.kind.value}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": line.start,
        "ChargePeriodEnd": line.end,
        "PricingCategory": "Standard",
        "ResourceId": what,
        "ResourceName": what,
        "ResourceType": "Model" if line.model else "Platform",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": _SERVICES.get(line.mode, line.mode),
        "SkuId": line.resource.value,
        "SkuPriceId": f"{line.resource.value}/{line.unit_price_nanousd}/{line.unit_price_per}",
        "SubAccountId": line.team,
        "SubAccountName": account.teams.get(line.team, line.team),
        "Tags": json.dumps({"team": line.team, "model": line.model, "mode": line.mode, "kind": line.kind.value}),
        "x_Kind": line.kind.value,
        "x_Mode": line.mode,
        "x_Basis": line.basis.value,
        "x_UsageId": line.usage_id,
        "x_CostNanoUsd": line.cost_nanousd,
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
