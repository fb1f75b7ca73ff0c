"""A face and a prompt -> a clip, alone or inside a photograph."""
