"""The page about a run: what was trained on what, how it went, and what to worry about; one file, no network."""
