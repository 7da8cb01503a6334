"""The kube target: a lab as a Helm release on any cluster that a kubeconfig names."""
