from .native import save_clip as save_clip
