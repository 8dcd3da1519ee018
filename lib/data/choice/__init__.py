"""Which events are used, how often, and in what order."""
