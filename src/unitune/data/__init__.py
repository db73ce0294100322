"""Rows in: arrays and tables, checked and typed, and their folds as row indices. No framework is imported here."""
