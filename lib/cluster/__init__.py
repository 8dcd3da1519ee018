"""From one command to jobs on a cluster: submission, sweeps and their state on disk."""
