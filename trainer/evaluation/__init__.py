"""The paper's comparison, for any domain: baselines, figures, ablations and one report."""
