"""Tests on targets: the pytest plugin."""
