"""Pacing measured: on real auction logs, and on dense simulated traffic with real hourly shapes.

Place: `python -m benchmarks.pacing`, `make pacing`; the controller is budget/pacing.py, with the gains of production.
"""
