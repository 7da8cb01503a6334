"""One running lab: its folder, its lifecycle, the learner's changes, and read-only facts about it."""

from archlab.lab.lab import Lab, lab_names, open_lab

__all__ = ["Lab", "lab_names", "open_lab"]
