"""Dashboards as code: one module per dashboard, in the words of sketch.py."""
