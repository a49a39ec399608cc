"""What operators see: rules, alerts and dashboards, asked of a real Prometheus and a real Alertmanager."""
