"""What watches over a run from beside it: signals, standstill, memory."""
