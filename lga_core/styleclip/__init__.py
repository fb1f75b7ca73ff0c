"""StyleCLIP (Patashnik et al. 2021), the baseline that edits a face by words: optimisation, mapper, global directions.

Each gives a motion as ours is one, offsets to add to a face, so that whatever is done to a motion is done to it too.
"""
