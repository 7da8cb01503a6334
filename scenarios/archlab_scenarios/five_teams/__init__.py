"""Five teams on one platform: what keeps them apart, what that costs, and who pays."""
