"""What is trained on: faces, images, photographs, videos, prompts, frozen models."""
