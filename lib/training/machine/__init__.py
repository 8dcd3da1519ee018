"""What the machine can do, found out by trying: compiler, worker processes, memory, speed."""
