"""The chart, and the code that writes its dashboards and the catalogue of metrics: `python -m helm.build`."""
