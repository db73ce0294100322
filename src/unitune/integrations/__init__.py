"""Doors for people who come from other libraries; each goes through the tuner and the engines."""
