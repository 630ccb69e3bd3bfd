"""The `cloud-stack` command."""
