"""Names of the tensor shapes in the core. Axis names are defined here.

    n  batch                t  time (frames of a clip)
    c  channels of an image or of an embedding (also a motion code, which lives in the same space)
    h  height, or the width of a hidden state                 w  width
    num_ws  rows of W+ (one per generator layer)              z_dim, w_dim  widths of Z and W
    i, o, k  input channels, output channels, kernel size of a convolution

Images inside the core are [n c h w] in -1..1.
"""

from jaxtyping import Float, UInt8
from torch import Tensor

# Latents
Z = Float[Tensor, "n z_dim"]
W = Float[Tensor, "n w_dim"]
WPlus = Float[Tensor, "n num_ws w_dim"]  # a face: input of the synthesis network
Motion = Float[Tensor, "n t num_ws w_dim"]  # offsets to add to a face, frame by frame
MeanW = Float[Tensor, "w_dim"]

# Images
Images = Float[Tensor, "n c h w"]  # -1..1
ImagesNHWC = Float[Tensor, "n h w c"]  # 0..1, outside the core
FramesUInt8 = UInt8[Tensor, "n h w c"]  # 0..255, what a video encoder takes
Mask = Float[Tensor, "n 1 h w"]  # 0..1, weight of the face in each pixel

# Facial landmarks: eye, eye, nose, mouth corner, mouth corner; of each pair the one that is on the left in an upright
# image comes first. x and y in pixels from the upper left corner of the image. NaN: not found.
FacePoints = Float[Tensor, "n 5 2"]

# CLIP and the recurrent generator
Embedding = Float[Tensor, "n c"]  # unit length
Codes = Float[Tensor, "n t c"]  # motion codes, one per frame
Hidden = Float[Tensor, "n h"]
Rates = Float[Tensor, "steps"]  # residual schedule: step size of each frame but the first

# Inside the networks
Features = Float[Tensor, "n i h w"]
FeaturesOut = Float[Tensor, "n o h_out w_out"]
Styles = Float[Tensor, "n i"]
Kernel = Float[Tensor, "o i k k"]
Labels = Float[Tensor, "n c_dim"]
