"""The compose stack under test."""
