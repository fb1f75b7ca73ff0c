"""The trainings that make an embedded domain, each on the frozen ones before it.

A stage takes the folder of a build, which says whose it is, and the figures of the domain's own (`recipe.py`).
"""
