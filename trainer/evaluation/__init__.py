"""The paper's comparison of methods on any domain: metrics, ablations and a report."""
