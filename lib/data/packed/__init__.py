"""The packed cache: network inputs in 16 bits, read in any order."""
