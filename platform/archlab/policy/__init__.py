"""Rules in Rego, one signed bundle, two engines that read it, and the hash chain that keeps what they decided."""
