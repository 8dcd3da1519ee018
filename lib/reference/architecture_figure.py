"""The network drawn for the documentation, from sensors to outputs, with the shapes of the real encoder, as SVG."""

from typing import Final

from lib.geometry.hex_grid import NUM_STAGGERED
from lib.models.config import EncoderConfig
from lib.models.encoder import Encoder
from lib.models.face_networks import RectangularNetwork
from lib.report.markup import Markup, element, joined

ROW: Final = 62
BOX_HEIGHT: Final = 46
TOP: Final = 56
# Left edge and width of each column: sensors, face networks, tokens, fusion, outputs.
COLUMNS: Final = ((10, 120), (160, 300), (490, 110), (640, 130), (810, 260))
HEADINGS: Final = ("sensors", "one network per face", "tokens", "fusion", "what follows")
_INK, _LINE = "#16202a", "#7a8793"
_FILLS: Final = ("#e3f0fa", "#eef2f6", "#fbf0d9", "#fbe6dc", "#e1f3ec")
OUTPUTS: Final = (
    ("regressor", "one head per task: (B, width)"),
    ("autoencoder", "decoders of the faces: (B, 4760, C)"),
    ("inpainter", "corrections to neighbours: (B, 4760, C)"),
)


def architecture_figure(encoder: Encoder, config: EncoderConfig) -> str:
    """Return the drawing as the text of an SVG file.

    Args:
        encoder: The encoder.
        config: The settings it was built from.
    """
    names = encoder.token_faces
    height = TOP + ROW * len(names) + 10
    width = COLUMNS[-1][0] + COLUMNS[-1][1] + 10
    rows = [_row(number, name, encoder, config) for number, name in enumerate(names)]
    middle = TOP + 0.5 * ROW * len(names)
    drawing = element(
        "svg",
        element("title", _spoken(encoder, config)),
        element("rect", x=0, y=0, width=width, height=height, fill="#ffffff"),
        *(
            element("text", text, x=left, y=30, font_weight=600)
            for text, (left, _) in zip(HEADINGS, COLUMNS, strict=True)
        ),
        *rows,
        _fusion(len(names), config),
        *(_output(number, middle) for number in range(len(OUTPUTS))),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        font_family="system-ui, sans-serif",
        font_size=13,
        fill=_INK,
        role="img",
    )
    return f"{drawing}\n"


def face_stages(name: str, encoder: Encoder, config: EncoderConfig) -> list[str]:
    """Return the shape of a face after each stage, (H, W, channels) or (sensors, channels), as text."""
    network = encoder.faces[name].network
    if isinstance(network, RectangularNetwork):
        grids = [f"{rows} x {columns}" for rows, columns in network.grids]
    else:
        grids = [str(NUM_STAGGERED)] * len(config.stage_dims)
    return [f"{grid} x {dim}" for grid, dim in zip(grids, config.stage_dims, strict=True)]


def _row(number: int, name: str, encoder: Encoder, config: EncoderConfig) -> Markup:
    y = TOP + ROW * number
    source, network = _of_token(name, encoder, config)
    return joined(
        _box(0, y, name, source),
        _box(1, y, *network),
        _box(2, y, "token", f"(B, {config.encoder_dim})"),
        *(_line(column, y) for column in range(3)),
    )


def _of_token(name: str, encoder: Encoder, config: EncoderConfig) -> tuple[str, tuple[str, str]]:
    """Return what a token is made from, and by what: two lines."""
    if name == "fovea":
        side = config.fovea_side
        return f"{side} x {side} brightest", ("window of the inner face", "ConvNeXt V2, all positions kept")
    if name == "summary":
        return "all faces", ("numbers without weights", "light, rough point, arrival time")
    stages = " \N{RIGHTWARDS ARROW} ".join(face_stages(name, encoder, config))
    is_image = isinstance(encoder.faces[name].network, RectangularNetwork)
    return ("image" if is_image else "neighbour table"), ("ConvNeXt V2" if is_image else "HexNeXt", stages)


def _fusion(num_tokens: int, config: EncoderConfig) -> Markup:
    left, width = COLUMNS[3]
    height = ROW * num_tokens - (ROW - BOX_HEIGHT)
    lines = (
        "transformer",
        f"{config.num_fusion_layers} layers",
        f"{config.num_heads} heads",
        "with positions",
        f"(B, {num_tokens}, {config.encoder_dim})",
    )
    first = TOP + 0.5 * height - 9 * (len(lines) - 1)
    return joined(
        element("rect", x=left, y=TOP, width=width, height=height, rx=6, fill=_FILLS[3], stroke=_LINE),
        *(
            element("text", text, x=left + 0.5 * width, y=first + 18 * number, text_anchor="middle")
            for number, text in enumerate(lines)
        ),
    )


def _output(number: int, middle: float) -> Markup:
    y = middle + 1.4 * ROW * (number - 1) - 0.5 * BOX_HEIGHT
    return joined(_box(4, y, *OUTPUTS[number]), _line(3, y))


def _box(column: int, y: float, first: str, second: str) -> Markup:
    left, width = COLUMNS[column]
    return joined(
        element("rect", x=left, y=y, width=width, height=BOX_HEIGHT, rx=6, fill=_FILLS[column], stroke=_LINE),
        element("text", first, x=left + 8, y=y + 19, font_weight=600),
        element("text", second, x=left + 8, y=y + 37, font_size=12),
    )


def _line(start: int, y: float) -> Markup:
    """Return what joins the box of a column to the next one; the fusion is one tall box, entered level with a token."""
    left, level = sum(COLUMNS[start]), y + 0.5 * BOX_HEIGHT
    return element("path", d=f"M{left:g},{level:g}H{COLUMNS[start + 1][0]:g}", stroke=_LINE, fill="none")


def _spoken(encoder: Encoder, config: EncoderConfig) -> str:
    faces = "; ".join(f"{name} {', then '.join(face_stages(name, encoder, config))}" for name in encoder.faces)
    return (
        f"Shapes of the faces after each stage: {faces}. Each gives a token of {config.encoder_dim} numbers; "
        f"{len(encoder.token_faces)} tokens pass {config.num_fusion_layers} transformer layers, and regressor, "
        "autoencoder and inpainter read them."
    )
