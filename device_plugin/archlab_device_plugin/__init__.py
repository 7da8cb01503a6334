"""A Kubernetes device plugin that advertises devices which are not there, and says so everywhere."""
