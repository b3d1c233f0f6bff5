"""Containers on a target, from the host."""
