"""The embedded domains: how each was made, and what it brings to training and evaluation.

A domain is a folder here, named like it, and a line in `domain_plugin.PLUGINS`. The folder holds what is the domain's
own: attributes, renderer, words, the figures of its stages, and `domain.py`, which describes all of it as an
`EmbeddedDomain` named DOMAIN. Stages, checks and reports stand beside the folders and take that description.
"""
