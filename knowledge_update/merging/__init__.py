"""An adapter and its base become a model that stands alone, proven to answer as the two did.

`weights` joins them tensor by tensor, `shards` writes them as they come, `companions` what stands beside them,
`verification` asks both, `card` tells what was taught, `stage` does all of it: a folder appears only when it is
finished.
"""
