"""Questions, evidence, verdicts and the gradebook. Reads evidence, never a running lab."""
