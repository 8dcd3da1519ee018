"""Trainings of several processes: what they agree on, and what happens when one is lost."""
