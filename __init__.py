"""What ComfyUI imports: the node classes, their names, and where their help pages lie.

Anything else that imports this folder (a test runner, for one) gets an empty module: the imports below are relative to
the name that ComfyUI gives the pack.
"""

try:
    import folder_paths  # only inside ComfyUI
except ImportError:
    folder_paths = None

if folder_paths is not None and __package__:
    from .nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, register_folders

    register_folders()
    WEB_DIRECTORY = "./web"
    __all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "WEB_DIRECTORY"]
