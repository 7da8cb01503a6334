"""Experiments beside a learner's lab: sweeps, designs on hidden days, calibration."""
