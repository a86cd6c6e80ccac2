"""The vision tower of the embedded model: a plain ResNet with dense heads, whose hidden states are *region tokens*.

A ViT from scratch learns ten times slower on two cores than a ResNet with dense supervision, and a decoder that spells
coordinates needs far more steps than one that *names* proposals (localised visual tokens, as Groma does, Ma et al.
2404.13013). So the tower finds candidate regions itself (class heat map and box regression, CenterNet, Zhou et al.
1904.07850; an ellipse for heads) and hands each to the decoder as one token: its feature, its box, its class
scores and its slot number. Sixteen tokens of the whole picture come with them.

It is an ordinary ``AutoModel`` of transformers, so that ``LlavaForConditionalGeneration`` takes it as its vision tower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from fiducial.skills.families.llava.flips import mean_over_flips
from fiducial.skills.families.llava.marks import Marks, read_marks
from fiducial.skills.families.llava.proposals import Proposals, propose
from fiducial.tools.errors import InputError

FREQUENCIES, BINS = 6, 8
SLOT_SCALE = 6.0  # which slot a token is must not drown among its features: naming is all about it
# What a tower of a configuration that says nothing else knows.
KINDS = ("blood_smear", "head_ultrasound", "other")
LABELS = ("red_cell", "white_cell", "platelet", "head")
LABELS_OF_KIND = {"blood_smear": LABELS[:3], "head_ultrasound": ("head",)}

STRIDES = (8, 16)  # of the heads that say where cells and heads are
MARK_WIDTH = 48


class TowerConfig(PretrainedConfig):
    """What the tower knows and its sizes.

    labels: structures that it proposes, the head among them; landmarks: named points that it places, each at most once
    in an image; kinds: of images; labels_of_kind, landmarks_of_kind: what an image of a kind may show; volumes: kinds
    that are slices of a volume; mirrored: pairs of landmarks that change names in a mirror.
    width_px and height_px: the letterboxed input; slots: region tokens; grid: context tokens. floor: proposals of a
    lower score leave their slots unused. packing: how a region token tells scores: ``each`` has soft bins of every
    label's, ``best`` of the best one's alone, which leaves room for many labels.

    Both sides must be multiples of 16, so that every place of the heads lies on the same pixels in an image and in its
    mirror image, over which they are averaged; a stride of 32 only lends its features and may end in half a place.
    Raises InputError for other sides, for more slots than places, and for what does not fit into a token or each other.
    """

    model_type = "fiducial_tower"

    def __init__(
        self,
        width_px: int = 320,
        height_px: int = 240,
        channels: tuple[int, ...] = (48, 48, 96, 160, 224),
        blocks: tuple[int, ...] = (1, 2, 2, 1),
        feature_size: int = 96,
        slots: int = 40,
        grid: tuple[int, int] = (4, 4),
        hidden_size: int = 256,
        labels: Sequence[str] = LABELS,
        landmarks: Sequence[str] = (),
        kinds: Sequence[str] = KINDS,
        labels_of_kind: Mapping[str, Sequence[str]] = LABELS_OF_KIND,
        landmarks_of_kind: Mapping[str, Sequence[str]] | None = None,
        volumes: Sequence[str] = (),
        mirrored: Sequence[Sequence[str]] = (),
        floor: float = 0.0,
        packing: str = "each",
        **kwargs: Any,
    ) -> None:
        if min(width_px, height_px) < STRIDES[1] or width_px % STRIDES[1] or height_px % STRIDES[1]:
            raise InputError(f"a tower of {width_px} × {height_px} px cannot be: make both sides multiples of 16")
        places = (width_px // STRIDES[0]) * (height_px // STRIDES[0])
        if not 0 < slots <= places:
            raise InputError(f"a tower of {width_px} × {height_px} px has {places} places, not {slots}; lower slots")
        self.width_px, self.height_px = width_px, height_px
        self.channels, self.blocks = tuple(channels), tuple(blocks)
        self.feature_size, self.slots, self.grid = feature_size, slots, tuple(grid)
        self.hidden_size = hidden_size
        self.labels, self.landmarks, self.kinds = tuple(labels), tuple(landmarks), tuple(kinds)
        self.labels_of_kind = {kind: tuple(names) for kind, names in labels_of_kind.items()}
        self.landmarks_of_kind = {kind: tuple(names) for kind, names in (landmarks_of_kind or {}).items()}
        self.volumes = tuple(volumes)
        self.mirrored = tuple((str(a), str(b)) for a, b in mirrored)
        self.floor, self.packing = floor, packing
        self._check()
        super().__init__(**kwargs)

    def _check(self) -> None:
        """Raises InputError where the names do not fit together, or a token cannot hold what it is to tell."""
        tables = self.labels_of_kind, self.landmarks_of_kind
        of_kinds = {name for table in tables for names in table.values() for name in names}
        pairs = {name for pair in self.mirrored for name in pair}
        unknown = (of_kinds - {*self.names}) | (pairs - {*self.landmarks})
        unknown |= {*self.labels_of_kind, *self.landmarks_of_kind, *self.volumes} - {*self.kinds}
        if unknown or "head" not in self.labels:
            raise InputError(f"a tower cannot have kinds of unknown names ({min(unknown, default='head')}); list them")
        if self.packing not in ("each", "best"):
            raise InputError(f"a tower has no packing '{self.packing}'; give each or best")
        need = max(self.region_size, self.feature_size + len(self.kinds) + self.grid[0] * self.grid[1])
        if need > self.hidden_size:
            raise InputError(f"a token of this tower needs {need} numbers, not {self.hidden_size}; raise hidden_size")

    @property
    def names(self) -> tuple[str, ...]:
        """Labels, then landmarks: what a proposal can be."""
        return (*self.labels, *self.landmarks)

    @property
    def region_size(self) -> int:
        """Numbers of a region token before padding."""
        fixed = self.feature_size + 4 * 2 * FREQUENCIES + 1 + self.slots
        return fixed + (len(self.names) * (2 + BINS) if self.packing == "each" else len(self.names) + BINS)

    @property
    def tokens(self) -> int:
        """Image tokens the decoder sees."""
        return self.slots + self.grid[0] * self.grid[1]


class Block(nn.Module):
    """Two 3×3 convolutions with a shortcut (He et al. 1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, outputs, H / stride, W / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


@dataclass
class Dense(ModelOutput):
    """The dense heads, before proposals are made of them. Strides are of the letterboxed input.

    heat (B, labels, H/8, W/8): logits of object centres; box (B, 4, H/8, W/8): log distances left, top, right,
    bottom in units of 8 px; ellipse (B, 6, H/16, W/16): centre offset x, y in units of 16 px, log semi axes in the same
    unit, cos and sin of twice the angle; mask (B, 1, H/8, W/8): logit of lying inside a head; kind (B, kinds): logits;
    embedding (B, C): the pooled feature, for typicality; features (B, F, H/8, W/8); marks (B, landmarks, H/4, W/4):
    logits of each landmark's place among all places, None for a tower without landmarks.
    """

    heat: Tensor = None  # type: ignore[assignment]
    box: Tensor = None  # type: ignore[assignment]
    ellipse: Tensor = None  # type: ignore[assignment]
    mask: Tensor = None  # type: ignore[assignment]
    kind: Tensor = None  # type: ignore[assignment]
    embedding: Tensor = None  # type: ignore[assignment]
    features: Tensor = None  # type: ignore[assignment]
    marks: Tensor | None = None


@dataclass
class TowerOutput(ModelOutput):
    """hidden_states[-1] (B, tokens, hidden_size) is what LLaVA projects; proposals are the same regions as numbers."""

    last_hidden_state: Tensor = None  # type: ignore[assignment]
    pooler_output: Tensor = None  # type: ignore[assignment]
    hidden_states: tuple[Tensor, ...] = None  # type: ignore[assignment]
    proposals: Proposals = None  # type: ignore[assignment]
    dense: Dense = None  # type: ignore[assignment]
    marks: Marks | None = None


def head(inputs: int, outputs: int, width: int) -> nn.Sequential:
    """A dense prediction head."""
    return nn.Sequential(
        nn.Conv2d(inputs, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, outputs, 1)
    )


class Tower(PreTrainedModel):
    """See the module's docstring."""

    config: TowerConfig
    config_class = TowerConfig
    main_input_name = "pixel_values"
    base_model_prefix = "tower"
    input_modalities = ("image",)  # type: ignore[assignment]

    def __init__(self, config: TowerConfig) -> None:
        super().__init__(config)
        c, f = config.channels, config.feature_size
        # Four pixels become twelve channels first: a convolution over three is the slowest part of a CPU's step.
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(12, c[0], 3, 2, 1, bias=False), nn.BatchNorm2d(c[0]), nn.ReLU()
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(c[i] if j == 0 else c[i + 1], c[i + 1], 2 if i and j == 0 else 1) for j in range(n)))
            for i, n in enumerate(config.blocks)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(c[i], f, 1) for i in (2, 3, 4))
        self.smooth8 = Block(f, f, 1)
        self.smooth16 = Block(f, f, 1)
        self.heat_head = head(f, len(config.labels), 64)
        self.box_head = head(f, 4, 64)
        self.ellipse_head = head(f, 6, f)
        self.mask_head = head(f, 1, 32)
        self.kind_head = nn.Linear(c[4], len(config.kinds))
        if config.landmarks:
            self.mark_lateral = nn.Conv2d(c[1], MARK_WIDTH, 1)
            self.mark_coarse = nn.Conv2d(f, MARK_WIDTH, 1)
            self.mark_head = head(MARK_WIDTH, len(config.landmarks), MARK_WIDTH)
        # Few centres among many cells: start from that prior.
        nn.init.constant_(self.heat_head[-1].bias, -4.0)  # type: ignore[arg-type]
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's own initialisation stands."""

    def dense(self, pixel_values: Tensor) -> Dense:
        """The dense heads on (B, 3, height_px, width_px)."""
        x, levels = self.stem(pixel_values), []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        p32 = self.lateral[2](levels[3])
        p16 = self.smooth16(self.lateral[1](levels[2]) + F.interpolate(p32, size=levels[2].shape[-2:], mode="nearest"))
        p8 = self.smooth8(self.lateral[0](levels[1]) + F.interpolate(p16, size=levels[1].shape[-2:], mode="nearest"))
        embedding = levels[3].mean((2, 3))
        return Dense(
            heat=self.heat_head(p8),
            box=self.box_head(p8),
            ellipse=self.ellipse_head(p16),
            mask=self.mask_head(p8),
            kind=self.kind_head(embedding),
            embedding=embedding,
            features=p8,
            marks=self._marks(levels[0], p8) if self.config.landmarks else None,
        )

    def _marks(self, fine: Tensor, p8: Tensor) -> Tensor:
        """Logits of the landmarks' places at stride 4: where, by the fine level; what, by the coarse one."""
        coarse = F.interpolate(self.mark_coarse(p8), size=fine.shape[-2:], mode="nearest")
        logits: Tensor = self.mark_head(F.relu(self.mark_lateral(fine) + coarse))
        return logits

    def forward(self, pixel_values: Tensor, return_dict: bool = True, **_: Any) -> TowerOutput:
        """Tokens and proposals of (B, 3, height_px, width_px) normalised pixels, seen four ways."""
        return self.read(mean_over_flips(self, pixel_values))

    def read(self, dense: Dense) -> TowerOutput:
        """Tokens and proposals of the dense heads."""
        config = self.config
        marks = None if dense.marks is None else read_marks(dense.marks.float(), self._mark_prior(dense))
        maps = (dense.heat.float(), dense.box.float(), dense.ellipse.float(), dense.mask.float())
        proposals = propose(*maps, config.slots, config.labels.index("head"), marks, config.floor)
        tokens = self.tokens(dense, proposals)
        return TowerOutput(
            last_hidden_state=tokens,
            pooler_output=dense.embedding,
            hidden_states=(tokens,),
            proposals=proposals,
            dense=dense,
            marks=marks,
        )

    def _mark_prior(self, dense: Dense) -> Tensor:
        """(B, landmarks) how probably the image is of a kind that shows each landmark."""
        config, kinds = self.config, dense.kind.float().softmax(-1)
        shows = [[name in config.landmarks_of_kind.get(kind, ()) for name in config.landmarks] for kind in config.kinds]
        return kinds @ torch.tensor(shows, dtype=kinds.dtype, device=kinds.device)

    def tokens(self, dense: Dense, proposals: Proposals) -> Tensor:
        """(B, tokens, hidden_size): slots first, in order of score, then the grid of the whole picture."""
        size, f = self.config.hidden_size, self.config.feature_size
        features = F.layer_norm(dense.features.float().permute(0, 2, 3, 1), (f,))
        batch = len(features)
        flat = features.reshape(batch, -1, f)
        at = proposals.cell_index[..., None].expand(-1, -1, f)
        scale = torch.tensor([self.config.width_px, self.config.height_px] * 2, device=flat.device)
        slot = torch.eye(self.config.slots, device=flat.device).expand(batch, -1, -1)
        scores = proposals.label_scores
        told = [scores, proposals.score[..., None]] if self.config.packing == "each" else [proposals.score[..., None]]
        region = torch.cat(
            [
                flat.gather(1, at),
                sinusoids(proposals.box_xyxy_px / scale, FREQUENCIES),
                scores.clamp(1e-4, 1 - 1e-4).logit() / 4,
                *told,
                SLOT_SCALE * slot,
                2 * soft_bins(scores if self.config.packing == "each" else scores.amax(-1, keepdim=True), BINS),
            ],
            dim=-1,
        )
        rows, columns = self.config.grid
        pooled = F.adaptive_avg_pool2d(features.permute(0, 3, 1, 2), (rows, columns)).flatten(2).transpose(1, 2)
        kind = dense.kind.float().softmax(-1)[:, None].expand(-1, rows * columns, -1)
        place = torch.eye(rows * columns, device=flat.device).expand(batch, -1, -1)
        context = torch.cat([pooled, kind, place], dim=-1)
        return torch.cat(
            [F.pad(region, (0, size - region.shape[-1])), F.pad(context, (size - context.shape[-1], 0))], dim=1
        )


def soft_bins(scores: Tensor, bins: int = BINS) -> Tensor:
    """(…, L) scores in 0–1 to (…, L × bins): how near each is to 0.05, 0.15, …: a threshold is one weight."""
    centres = torch.linspace(0.05, 0.05 + 0.1 * (bins - 1), bins, device=scores.device)
    return torch.exp(-(((scores[..., None] - centres) / 0.07) ** 2)).flatten(-2)


def sinusoids(values: Tensor, frequencies: int = FREQUENCIES) -> Tensor:
    """(…, 4) numbers in 0–1 to (…, 4 × 2 × frequencies) sines and cosines, octaves apart."""
    angles = values[..., None] * (torch.pi * 2.0 ** torch.arange(frequencies, device=values.device))
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)


AutoConfig.register("fiducial_tower", TowerConfig, exist_ok=True)
AutoModel.register(TowerConfig, Tower, exist_ok=True)
