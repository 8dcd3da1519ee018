"""Command lines: parsing, logging, exit codes."""
