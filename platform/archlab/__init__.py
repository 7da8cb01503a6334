"""archlab: a runnable reference-architecture sandbox for ML and AI architects."""

__version__ = "0.1.0"
