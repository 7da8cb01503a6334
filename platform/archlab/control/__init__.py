"""The control process: clock, metering, ledger, decision log, release feed, scoreboard."""
