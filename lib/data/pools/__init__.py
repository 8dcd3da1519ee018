"""Pools of events on their way from files to batches, filled by threads or processes."""
