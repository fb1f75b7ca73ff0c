"""The baselines that are trained: StyleCLIP's latent mapper, and MoCoGAN-HD's motion generator."""
