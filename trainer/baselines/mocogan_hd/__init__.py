"""Training MoCoGAN-HD's motion generator (Tian et al. 2021)."""
