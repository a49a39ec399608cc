"""Fixtures of this folder."""

from tests.operations.prometheus import watch

__all__ = ["watch"]
