"""The nodes, gathered. Ids, input names and the order of widgets are a file format: append, never rename or reorder."""

from .faces import BlendFaces, DemoFace, DemoPhoto, InvertE4E, LoadFaces, SampleFace, SaveFaces
from .host import register_folders
from .inversion import IdentityLock, LoadTuning, RefineInversion, SaveTuning
from .loaders import LoadCLIP, LoadDomain, LoadEncoder, LoadIdentity, LoadMotionModel, LoadStyleGAN
from .metrics import MeasureAnimation
from .motion import BlendMotions, ChainExpressions, EncodeText, LoadMotion, MotionRollout, SaveMotion, ShapeMotion
from .photo import AlignFace, DetailTransfer, FindFaces, PasteBack, ReadExpressions
from .random_motion import RandomMotion
from .render import PreviewMotion, SynthesizeFrames
from .styleclip import GlobalDirection, StyleClipEdit

NODE_CLASS_MAPPINGS = {
    "LGA_LoadDomain": LoadDomain,
    "LGA_LoadStyleGAN": LoadStyleGAN,
    "LGA_LoadEncoder": LoadEncoder,
    "LGA_LoadCLIP": LoadCLIP,
    "LGA_LoadMotionModel": LoadMotionModel,
    "LGA_SampleFace": SampleFace,
    "LGA_DemoFace": DemoFace,
    "LGA_InvertE4E": InvertE4E,
    "LGA_BlendFaces": BlendFaces,
    "LGA_SaveFaces": SaveFaces,
    "LGA_LoadFaces": LoadFaces,
    "LGA_EncodeText": EncodeText,
    "LGA_MotionRollout": MotionRollout,
    "LGA_ChainExpressions": ChainExpressions,
    "LGA_ShapeMotion": ShapeMotion,
    "LGA_BlendMotions": BlendMotions,
    "LGA_SaveMotion": SaveMotion,
    "LGA_LoadMotion": LoadMotion,
    "LGA_SynthesizeFrames": SynthesizeFrames,
    "LGA_PreviewMotion": PreviewMotion,
    "LGA_DemoPhoto": DemoPhoto,
    "LGA_FindFaces": FindFaces,
    "LGA_AlignFace": AlignFace,
    "LGA_RefineInversion": RefineInversion,
    "LGA_SaveTuning": SaveTuning,
    "LGA_LoadTuning": LoadTuning,
    "LGA_DetailTransfer": DetailTransfer,
    "LGA_PasteBack": PasteBack,
    "LGA_LoadIdentity": LoadIdentity,
    "LGA_IdentityLock": IdentityLock,
    "LGA_ReadExpressions": ReadExpressions,
    "LGA_StyleClipEdit": StyleClipEdit,
    "LGA_GlobalDirection": GlobalDirection,
    "LGA_RandomMotion": RandomMotion,
    "LGA_MeasureAnimation": MeasureAnimation,
}
NODE_DISPLAY_NAME_MAPPINGS = {id_: node.DISPLAY_NAME for id_, node in NODE_CLASS_MAPPINGS.items()}

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "register_folders"]
