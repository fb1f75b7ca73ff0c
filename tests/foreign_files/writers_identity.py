"""State dicts of the two published identity networks: ArcFace IR-SE50, facenet InceptionResnetV1. Random numbers."""

from foreign_files.writers_pickle import random_tensors
from foreign_files.writers_torch import State, state_dict


def arcface_tensors(shrink: int = 1, seed: int = 0) -> State:
    """IR-SE50's 397 tensors; `shrink` divides all widths, 1 is the published size of 175 MB."""
    widths = [64 // shrink, 128 // shrink, 256 // shrink, 512 // shrink]
    i = widths[0]
    shapes = {"input_layer.0.weight": (i, 3, 3, 3), **_norm("input_layer.1", i), "input_layer.2.weight": (i,)}
    last, embedding = widths[-1], 512 // shrink
    shapes |= {**_norm("output_layer.0", last), "output_layer.3.weight": (embedding, last * 49)}
    shapes |= {"output_layer.3.bias": (embedding,), **_norm("output_layer.4", embedding)}
    block = 0
    for o, units in zip(widths, (3, 4, 14, 3), strict=True):
        for _ in range(units):
            shapes |= _arcface_block(f"body.{block}", i, o)
            i, block = o, block + 1
    return state_dict(random_tensors(shapes, seed))


def _arcface_block(name: str, i: int, o: int) -> dict[str, tuple[int, ...]]:
    shapes = {}
    if i != o:
        shapes = {f"{name}.shortcut_layer.0.weight": (o, i, 1, 1), **_norm(f"{name}.shortcut_layer.1", o)}
    name = f"{name}.res_layer"
    shapes |= {**_norm(f"{name}.0", i), f"{name}.1.weight": (o, i, 3, 3), f"{name}.2.weight": (o,)}
    shapes |= {f"{name}.3.weight": (o, o, 3, 3), **_norm(f"{name}.4", o)}
    return shapes | {f"{name}.5.fc1.weight": (o // 16, o, 1, 1), f"{name}.5.fc2.weight": (o, o // 16, 1, 1)}


def _norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    vectors = {f"{name}.{end}": (channels,) for end in ("weight", "bias", "running_mean", "running_var")}
    return {**vectors, f"{name}.num_batches_tracked": ()}


_STEM = {  # name: in, out, kernel
    "conv2d_1a": (3, 32, 3),
    "conv2d_2a": (32, 32, 3),
    "conv2d_2b": (32, 64, 3),
    "conv2d_3b": (64, 80, 1),
    "conv2d_4a": (80, 192, 3),
    "conv2d_4b": (192, 256, 3),
}
_MIXED = {
    "mixed_6a": {"branch0": (256, 384, 3), "branch1.0": (256, 192, 1), "branch1.1": (192, 192, 3)}
    | {"branch1.2": (192, 256, 3)},
    "mixed_7a": {"branch0.0": (896, 256, 1), "branch0.1": (256, 384, 3), "branch1.0": (896, 256, 1)}
    | {"branch1.1": (256, 256, 3), "branch2.0": (896, 256, 1), "branch2.1": (256, 256, 3), "branch2.2": (256, 256, 3)},
}
_BLOCK35 = {"branch0": (256, 32, 1), "branch1.0": (256, 32, 1), "branch1.1": (32, 32, 3)}
_BLOCK35 |= {"branch2.0": (256, 32, 1), "branch2.1": (32, 32, 3), "branch2.2": (32, 32, 3)}
_BLOCK17 = {"branch0": (896, 128, 1), "branch1.0": (896, 128, 1)}
_BLOCK17 |= {"branch1.1": (128, 128, (1, 7)), "branch1.2": (128, 128, (7, 1))}
_BLOCK8 = {"branch0": (1792, 192, 1), "branch1.0": (1792, 192, 1)}
_BLOCK8 |= {"branch1.1": (192, 192, (1, 3)), "branch1.2": (192, 192, (3, 1))}


def facenet_shapes(classes: int | None = 8631) -> dict[str, tuple[int, ...]]:
    """InceptionResnetV1's tensors. `classes`: rows of the classifier (VGGFace2 8631, CASIA 10575), None without it."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, sizes in _STEM.items():
        shapes |= _conv_norm(name, *sizes)
    repeats = {f"repeat_1.{i}": (_BLOCK35, 96, 256) for i in range(5)}
    repeats |= {f"repeat_2.{i}": (_BLOCK17, 256, 896) for i in range(10)}
    repeats |= {f"repeat_3.{i}": (_BLOCK8, 384, 1792) for i in range(5)} | {"block8": (_BLOCK8, 384, 1792)}
    for block, (branches, i, o) in repeats.items():
        for name, sizes in branches.items():
            shapes |= _conv_norm(f"{block}.{name}", *sizes)
        shapes |= {f"{block}.conv2d.weight": (o, i, 1, 1), f"{block}.conv2d.bias": (o,)}
    for block, branches in _MIXED.items():
        for name, sizes in branches.items():
            shapes |= _conv_norm(f"{block}.{name}", *sizes)
    shapes |= {"last_linear.weight": (512, 1792), **_norm("last_bn", 512)}
    if classes is not None:
        shapes |= {"logits.weight": (classes, 512), "logits.bias": (classes,)}
    return shapes


def _conv_norm(name: str, i: int, o: int, kernel: int | tuple[int, int]) -> dict[str, tuple[int, ...]]:
    size = (kernel, kernel) if isinstance(kernel, int) else kernel
    return {f"{name}.conv.weight": (o, i, *size), **_norm(f"{name}.bn", o)}


def facenet_tensors(classes: int | None = 8631, seed: int = 0) -> State:
    """The state dict at its only size, 112 MB with the classifier."""
    return state_dict(random_tensors(facenet_shapes(classes), seed))
