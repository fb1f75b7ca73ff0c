"""What faces can be called: concepts with their phrases, and captions made of them."""
