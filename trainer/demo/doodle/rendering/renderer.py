"""The doodle renderer: attributes in, anti-aliased cartoon faces out."""

import torch
from jaxtyping import Float
from torch import Tensor

from ...renderer import Renderer
from .attributes import COLUMN, PALETTES
from .canvas import LINE, Canvas, axes, ellipse, parabola

COLOURS = {
    "hair": ((0.98, 0.84, 0.40), (0.47, 0.29, 0.18), (0.17, 0.15, 0.20), (0.86, 0.36, 0.16), (0.33, 0.52, 0.92))
    + ((0.97, 0.55, 0.76),),
    "eyes": ((0.40, 0.24, 0.14), (0.22, 0.50, 0.88), (0.22, 0.60, 0.36)),
    "shirt": ((0.92, 0.42, 0.42), (0.30, 0.60, 0.90), (0.38, 0.74, 0.50), (0.98, 0.74, 0.32), (0.62, 0.46, 0.86)),
    "backdrop": ((1.0, 0.82, 0.84), (0.78, 0.89, 1.0), (0.82, 0.95, 0.83), (1.0, 0.94, 0.78), (0.88, 0.84, 0.98)),
}
SKIN = ((0.45, 0.29, 0.21), (0.68, 0.46, 0.33), (0.88, 0.67, 0.51), (0.98, 0.83, 0.70), (1.0, 0.90, 0.82))
INK = (0.17, 0.11, 0.14)
WHITE = (1.0, 1.0, 1.0)
HEAD_DOWN = 0.12  # how far below the middle of its square a doodle's head has its own
EYE_LINE, BROW_LINE, NOSE_LINE, MOUTH_LINE = -0.03, -0.235, 0.13, 0.33  # heights of the features in the head
EYE_SPACE, MOUTH_HALF = 0.2425, 0.19  # half the distance of the eyes and of the mouth's corners in the mean face


class Face:
    """The attributes of a batch as [n 1 1] fields, its colours as [n 3], and its coordinates."""

    def __init__(self, attributes: Float[Tensor, "n k"], canvas: Canvas) -> None:
        self.attributes = attributes
        skin = attributes[:, COLUMN["skin"]].clamp(0, 1) * (len(SKIN) - 1) * 0.999
        below = skin.long()
        shades = torch.tensor(SKIN)
        self.skin = torch.lerp(shades[below], shades[below + 1], (skin - below)[:, None])
        age = attributes[:, COLUMN["age"], None].clamp(0, 1)
        self.hair = torch.lerp(self.mixture("hair"), torch.tensor((0.80, 0.80, 0.84)), 0.85 * age)
        self.eye_colour, self.shirt = self.mixture("eyes"), self.mixture("shirt")
        self.skin_line, self.hair_line = self.skin * torch.tensor((0.58, 0.46, 0.44)), self.hair * 0.55
        # Head coordinates, and features shifted on the head by yaw and pitch.
        self.x, self.y = canvas.x, canvas.y - HEAD_DOWN
        self.u, self.v = self.x - 0.05 * self["yaw"], self.y - 0.035 * self["pitch"]
        self.width, self.height = 0.53 + 0.08 * self["face_width"], 0.62
        taper = (0.03 + 0.15 * self["jaw"]) * ((self.y + 0.05) / self.height).clamp(0, 1.2)
        self.head = ellipse(self.x, self.y, self.width * (1 - taper), self.height)
        self.eye_radius = 0.115 + 0.025 * self["eye_size"]
        self.eye_space = 0.225 + 0.035 * self["eye_space"]

    def __getitem__(self, name: str) -> Float[Tensor, "n 1 1"]:
        return self.attributes[:, COLUMN[name]].reshape(-1, 1, 1)

    def mixture(self, group: str) -> Float[Tensor, "n 3"]:
        weights = self.attributes[:, [COLUMN[f"{group}:{name}"] for name in PALETTES[group]]]
        return weights @ torch.tensor(COLOURS[group])


@torch.no_grad()
def render(attributes: Float[Tensor, "n k"], resolution: int = 128) -> Float[Tensor, "n 3 h w"]:
    """Draw one face per row of `attributes` (see attributes.py) as images in -1..1."""
    canvas = Canvas(len(attributes), resolution)
    face = Face(attributes, canvas)
    for layer in (draw_weather, draw_back_hair, draw_body, draw_head, draw_beard, draw_front_hair, draw_skin_marks):
        layer(canvas, face)
    for side in (-1, 1):
        draw_eye(canvas, face, side)
    draw_nose(canvas, face)
    draw_mouth(canvas, face)
    draw_glasses(canvas, face)
    for side in (-1, 1):
        draw_brow(canvas, face, side)
        draw_tears(canvas, face, side)
    return canvas.image.clamp(0, 1) * 2 - 1


@torch.no_grad()
def coverage(attributes: Float[Tensor, "n k"], resolution: int) -> Float[Tensor, "n 1 h w"]:
    """Where hair, head and body are, 0..1: what shows as white on white and as black on black is backdrop."""
    light, dark = (Canvas(len(attributes), resolution) for _ in range(2))
    dark.image = torch.zeros_like(dark.image)
    for canvas in (light, dark):
        face = Face(attributes, canvas)
        for layer in (draw_back_hair, draw_body, draw_head, draw_front_hair):
            layer(canvas, face)
    return 1 - (light.image - dark.image).mean(dim=1, keepdim=True)


def face_weight(resolution: int, attributes: Float[Tensor, "n k"] | None = None) -> Float[Tensor, "1 1 h w"]:
    """1 everywhere plus 5 where the features are: thin strokes are a minority of pixels, and mouths vanish without."""
    y, x = axes(resolution)
    return (1 + 5 * torch.exp(-(((x / 0.45) ** 2 + ((y - 0.18) / 0.48) ** 2) ** 2)))[None, None]


def outside_face(resolution: int) -> Float[Tensor, "h w"]:
    """1 where no face reaches, 0 inside the largest head with its outline."""
    y, x = axes(resolution)
    return (((x / 0.66) ** 2 + ((y - HEAD_DOWN) / 0.68) ** 2) > 1).float()


def points_at_rest() -> tuple[tuple[float, float], ...]:
    """Eye, eye, nose, mouth corner, mouth corner of the mean doodle that looks straight ahead, in its square."""
    eyes, nose, mouth = (line + HEAD_DOWN for line in (EYE_LINE, NOSE_LINE, MOUTH_LINE))
    return (-EYE_SPACE, eyes), (EYE_SPACE, eyes), (0.0, nose), (-MOUTH_HALF, mouth), (MOUTH_HALF, mouth)


def draw_weather(canvas: Canvas, face: Face) -> None:
    height = (canvas.y + 1) / 2
    light = (1.03 - 0.10 * height)[:, None]
    canvas.paint(face.mixture("backdrop")[:, :, None, None] * light, 1.0)
    sunny, stormy = face["sunny"], face["stormy"]
    canvas.paint(torch.stack([0.50 + 0.30 * height, 0.78 + 0.15 * height, 1.0 + 0 * height], dim=1), sunny)
    from_sun = torch.sqrt((canvas.x - 0.72) ** 2 + (canvas.y + 0.74) ** 2)
    canvas.paint((1.0, 0.93, 0.55), sunny * torch.exp(-((from_sun / 0.34) ** 2)) * 0.8)
    canvas.fill(from_sun - 0.19, (1.0, 0.84, 0.25), sunny)
    canvas.paint(torch.stack([0.30 + 0.16 * height, 0.34 + 0.16 * height, 0.48 + 0.14 * height], dim=1), stormy)
    lane = canvas.x + 0.35 * canvas.y
    across = (lane * 3.5) % 1.0 - 0.5
    along = (canvas.y * 1.4 + torch.floor(lane * 3.5) * 0.37) % 1.0
    drop = ((0.16 - across.abs()) * 9).clamp(0, 1) * ((0.55 - along) * 8).clamp(0, 1) * (along * 8).clamp(0, 1)
    canvas.paint((0.66, 0.78, 0.96), stormy * 0.9 * drop)
    for cx, cy, radius in ((-0.78, -0.92, 0.36), (-0.34, -1.02, 0.30), (0.30, -1.02, 0.32), (0.80, -0.92, 0.34)):
        canvas.fill(ellipse(canvas.x - cx, canvas.y - cy, radius * 1.2, radius * 0.75), (0.20, 0.21, 0.31), stormy)
    upper = canvas.y < -0.30
    bolt = torch.where(upper, canvas.x - 0.80 + (canvas.y + 0.30) * 0.5, canvas.x - 0.90 + (canvas.y + 0.30) * 0.5)
    bolt = torch.maximum(bolt.abs() - (0.10 - 0.16 * (canvas.y + 0.30).abs()), (canvas.y + 0.30).abs() - 0.42)
    canvas.fill(bolt, (1.0, 0.90, 0.32), stormy)


def draw_back_hair(canvas: Canvas, face: Face) -> None:
    curl, length = face["curl"], face["hair_length"]
    angle = torch.atan2(face.y + 0.1, face.x)
    reach = torch.where(face.y > 0, face.y / (1 + 0.9 * length), face.y)
    mass = ellipse(face.x, reach + 0.03, face.width + 0.10 + 0.07 * curl, face.height + 0.08 + 0.05 * curl)
    mass = mass - curl * 0.045 * torch.sin(angle * 9 + 1.2)
    hem = face.y - (-0.05 + 0.95 * length) - 0.03 * curl * torch.sin(face.x * 9)
    canvas.outlined(torch.maximum(mass, hem), face.hair * 0.86, face.hair_line)


def draw_body(canvas: Canvas, face: Face) -> None:
    canvas.outlined(ellipse(canvas.x, canvas.y - 0.78, 0.17, 0.30), face.skin * 0.92, face.skin_line)
    canvas.outlined(ellipse(canvas.x, canvas.y - 1.24, 0.78, 0.40), face.shirt, face.shirt * 0.6)


def draw_head(canvas: Canvas, face: Face) -> None:
    for side in (-1, 1):
        ear = ellipse(face.x - side * (face.width + 0.01), face.y - 0.06, 0.09, 0.13)
        canvas.outlined(ear, face.skin * 0.95, face.skin_line)
    canvas.outlined(face.head, face.skin, face.skin_line)


def draw_beard(canvas: Canvas, face: Face) -> None:
    cheek = 0.24 - 0.26 * (face.u / face.width) ** 2
    around_mouth = ellipse(face.u, face.v - MOUTH_LINE - 0.02, 0.27, 0.14)
    shape = torch.maximum(torch.maximum(face.head + 0.01, cheek - face.v), -around_mouth)
    canvas.fill(shape, face.hair * 0.9, face["beard"])


def draw_front_hair(canvas: Canvas, face: Face) -> None:
    curl, fringe = face["curl"], face["fringe"]
    angle = torch.atan2(face.y + 0.1, face.x)
    edge = (
        -0.47 + 0.16 * fringe + 0.12 * (face.x / face.width) ** 2 * (1.6 - 2.2 * fringe) + 0.12 * face.x * (1 - fringe)
    )
    edge = edge + 0.022 * torch.sin(face.x * 11 + 2) * (1 - curl) + 0.035 * curl * torch.sin(face.x * 15)
    crown = face.head - 0.045 - 0.05 * curl + curl * 0.025 * torch.sin(angle * 9)
    canvas.outlined(torch.maximum(crown, face.y - edge), face.hair, face.hair_line)
    shine = parabola(face.x + 0.10, face.y + 0.54, 0.18, 0.05) - 0.024
    canvas.fill(shine, (face.hair * 1.2 + 0.07).clamp(max=1), 0.55)


def draw_skin_marks(canvas: Canvas, face: Face) -> None:
    """Blush, the green of disgust, the blue of shock, and the lines of age."""
    on_head = canvas.cover(face.head + 0.01)
    for side in (-1, 1):
        cheek = ((face.u - side * 0.36) / 0.14) ** 2 + ((face.v - 0.17) / 0.10) ** 2
        canvas.paint((1.0, 0.42, 0.45), face["blush"] * 0.6 * torch.exp(-cheek) * on_head)
    skin_only = on_head * (1 - canvas.cover(face.v + 0.30))
    canvas.paint((0.52, 0.76, 0.34), face["disgust"] * 0.55 * ((face.v + 0.05) * 1.8).clamp(0, 1) * on_head)
    canvas.paint((0.40, 0.50, 0.88), face["shock"] * 0.62 * ((0.10 - face.v) * 2.6).clamp(0, 1) * skin_only)
    age, line = face["age"], face.skin * torch.tensor((0.66, 0.55, 0.52))
    for side in (-1, 1):
        fold = parabola(face.v - 0.24, side * face.u - 0.27, 0.09, -0.03) - 0.014
        bag = parabola(side * face.u - face.eye_space, face.v - EYE_LINE - 0.20, 0.085, -0.025) - 0.014
        canvas.fill(fold, line, age)
        canvas.fill(bag, line, age)
    canvas.fill(parabola(face.u, face.v + 0.31, 0.17, 0.02) - 0.014, line, age)


def draw_eye(canvas: Canvas, face: Face, side: int) -> None:
    """An eyeball whose lid falls from the upper to the lower rim as `lid` goes from 0 to 1."""
    lid = face["lid_left" if side < 0 else "lid_right"]
    x, y = face.u - side * face.eye_space, face.v - EYE_LINE
    a, b = face.eye_radius, face.eye_radius * 1.18 * (1 + 0.32 * face["widen"])
    rim = ellipse(x, y, a, b)
    # The open rim is an ellipse, the closed lid a soft bow in its lower half; between them both edges glide.
    round_rim = torch.sqrt((1 - (x / a) ** 2).clamp(min=0))
    bow = 0.45 * b * (1 - (x / a) ** 2)
    lid_edge = torch.lerp(-b * round_rim, bow, lid)
    lower_edge = torch.lerp(b * round_rim, bow, lid**3)
    inside = canvas.cover(rim)
    canvas.fill(rim - 2 * LINE, face.skin_line, 1 - lid**3)
    canvas.paint(WHITE, inside)
    gaze_x, gaze_y = x - face["gaze_x"] * a * 0.36, y - face["gaze_y"] * b * 0.28
    stun, shock = face["stun"], face["shock"]
    iris_radius = a * 0.66 * (1 - 0.45 * shock)
    from_iris = torch.sqrt(gaze_x**2 + gaze_y**2 + 1e-8)
    canvas.paint(face.eye_colour, inside * canvas.cover(from_iris - iris_radius))
    canvas.paint(face.eye_colour * 0.22, inside * canvas.cover(from_iris - iris_radius * 0.6))
    glint = torch.sqrt((gaze_x + iris_radius * 0.34) ** 2 + (gaze_y + iris_radius * 0.36) ** 2 + 1e-8)
    canvas.paint(WHITE, inside * canvas.cover(glint - iris_radius * 0.30))
    # Stunned eyes are rings: white, with a circle and a dot of the eye's own colour.
    canvas.paint(WHITE, inside * stun)
    canvas.paint(face.eye_colour * 0.55, inside * stun * canvas.cover((from_iris - a * 0.62).abs() - 0.016))
    canvas.paint(face.eye_colour * 0.55, inside * stun * canvas.cover(from_iris - 0.032))
    covered = torch.maximum(canvas.cover(y - lid_edge), canvas.cover(lower_edge - y)) * (lid * 12).clamp(0, 1)
    canvas.paint(face.skin * 0.96, canvas.cover(rim - 0.006) * covered)
    steep = torch.lerp((x / a) / (round_rim + 0.35) * b / a, -0.9 * b * x / a**2, lid)
    lash = torch.maximum((y - lid_edge).abs() / torch.sqrt(1 + steep**2) - 0.024, x.abs() - a * 1.04)
    canvas.fill(lash, INK)


def draw_brow(canvas: Canvas, face: Face, side: int) -> None:
    """A stroke over the eye; a positive angle pulls its inner end down, which is anger."""
    outward = side * face.u - face.eye_space
    angle = face["brow_angle"]
    height = BROW_LINE - 0.085 * face["brow_raise"] - 0.42 * angle * outward
    stroke = parabola(outward, face.v - height - 0.02 * angle, 0.125, 0.03 * (1 - angle.abs()))
    canvas.fill(stroke - 0.030, face.hair * 0.58)


def draw_nose(canvas: Canvas, face: Face) -> None:
    radius = 0.045 + 0.03 * face["nose"]
    shape = ellipse(face.u - 0.03 * face["yaw"], face.v - NOSE_LINE, radius * 1.15, radius)
    canvas.outlined(shape, face.skin * torch.tensor((1.0, 0.88, 0.84)), face.skin * 0.75)


def draw_mouth(canvas: Canvas, face: Face) -> None:
    smile, disgust, pout = face["smile"], face["disgust"], face["pout"]
    opening, shock = face["open"] * (1 - 0.9 * pout), face["shock"]
    glad = smile.clamp(min=0)
    half = (0.17 + 0.04 * face["mouth_width"] + 0.05 * smile.abs()) * (1 - 0.42 * face["narrow"]) * (1 - 0.5 * pout)
    t = (face.u / half).clamp(-1, 1)
    curve = 0.15 * smile * (1 - 0.35 * opening)
    skew = 0.055 * t * face["skew"] - 0.02 * torch.sin(t * 7) * disgust
    drop = torch.lerp(1 - t.abs() ** 3, 1 - t**2, glad.clamp(max=1))
    upper = MOUTH_LINE + curve * (0.5 - t**2) + skew - 0.06 * opening * drop * (1 - glad)
    lower = upper + (0.005 + 0.27 * opening + 0.05 * pout) * drop
    slope = torch.sqrt(1 + (2 * curve * t / half) ** 2)
    vertical = torch.maximum(upper - face.v, face.v - lower) / slope
    sideways = (face.u.abs() - half).clamp(min=0)
    mouth = torch.sqrt(vertical.clamp(min=0) ** 2 + sideways**2 + 1e-9) + vertical.clamp(max=0)
    inside = canvas.cover(mouth)
    lips = torch.lerp(torch.tensor(INK), torch.tensor((0.86, 0.30, 0.40)), pout[:, :, 0].clamp(0, 1))
    canvas.fill(mouth - 0.024 - 0.036 * pout, lips)
    canvas.paint((0.50, 0.11, 0.17), inside * (opening * 12).clamp(0, 1))
    tongue = ellipse(face.u, face.v - (MOUTH_LINE + 0.29 * opening), half * 0.62, 0.02 + 0.10 * opening)
    canvas.paint((0.94, 0.46, 0.50), inside * canvas.cover(tongue) * (opening * 4 - 0.6).clamp(0, 1))
    teeth = face.v - upper - 0.06 * opening - 0.01
    canvas.paint((1.0, 0.99, 0.96), inside * canvas.cover(teeth) * glad * (opening * 4 - 0.6).clamp(0, 1))
    # Shock bares both rows of teeth, clenched.
    canvas.paint((1.0, 0.99, 0.96), inside * shock)
    bite = torch.minimum((face.v - (upper + lower) / 2).abs(), (((face.u + 0.055) % 0.11) - 0.055).abs())
    canvas.paint((0.40, 0.30, 0.34), inside * shock * canvas.cover(bite - 0.011))
    lolling = torch.maximum(ellipse(face.u - 0.05, face.v - MOUTH_LINE - 0.05, 0.075, 0.095), upper - face.v)
    canvas.outlined(lolling, (0.96, 0.48, 0.54), (0.70, 0.24, 0.32), disgust)


def draw_glasses(canvas: Canvas, face: Face) -> None:
    on, frame = face["glasses"], (0.18, 0.17, 0.30)
    for side in (-1, 1):
        radius = face.eye_radius * 1.5
        rim = ellipse(face.u - side * face.eye_space, face.v - EYE_LINE, radius, radius)
        canvas.fill(rim, (0.85, 0.95, 1.0), 0.14 * on)
        canvas.fill(rim.abs() - 0.021, frame, on)
    bridge = torch.maximum((face.v - EYE_LINE).abs() - 0.02, face.u.abs() - (face.eye_space - face.eye_radius * 1.5))
    canvas.fill(bridge, frame, on)


def draw_tears(canvas: Canvas, face: Face, side: int) -> None:
    tears = face["tears"].clamp(0, 1)
    x, y = face.u - side * (face.eye_space + 0.02), face.v - EYE_LINE - 0.13
    fallen = torch.minimum(y.clamp(min=0), 0.34 * tears)
    stream = torch.sqrt((x - 0) ** 2 + (y - fallen) ** 2 + 1e-8) - 0.038 - 0.03 * fallen / 0.34
    canvas.outlined(stream, (0.58, 0.84, 1.0), (0.26, 0.56, 0.94), (tears * 3).clamp(0, 1))


RENDERER = Renderer(render, coverage, face_weight, outside_face, points_at_rest())
