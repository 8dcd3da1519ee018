"""What is found in input files before a training starts, and what the reader makes of broken ones."""
