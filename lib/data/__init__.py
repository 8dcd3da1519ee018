"""From ROOT files to batches of normalized events, in an order that can be trusted."""
