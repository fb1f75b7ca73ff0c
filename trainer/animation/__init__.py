"""A face and a prompt -> a video, alone or inside a photograph."""
