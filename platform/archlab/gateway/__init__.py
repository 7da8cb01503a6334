"""The only way in: Envoy's configuration as a pure function of the plan, and its hand-over to a running Envoy."""
