"""The two acceptance tests of training: how long it takes, and whether its loss has converged.

They read what training leaves behind, and know nothing of how it is done.
"""
