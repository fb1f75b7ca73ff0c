"""Training StyleCLIP's latent mapper (Patashnik et al. 2021), for one prompt."""
