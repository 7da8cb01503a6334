"""Pipelines: data, training sets, training, registration, batch scoring. Each is a job."""
