"""What shops tell us about their visitors, and whose ids we exchange with exchanges."""
