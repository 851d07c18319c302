"""What `benchmarks/recipe.py` is made of: what is taught, the arms, their runs, and the figures of their answers."""
