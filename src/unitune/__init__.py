"""Unitune."""
