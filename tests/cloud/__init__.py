"""AWS as a host of the template finds it, and the host."""
