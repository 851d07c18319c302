"""What `benchmarks/training.py` is made of: the rows that every arm trains on, the arms, the count of their work."""
