"""The skull of a lateral cephalogram: where its named landmarks lie, and what bone, teeth and soft parts stand there.

Coordinates: mm on the detector from S (sella), x to the front (the film's right), y down. Every part is drawn *through*
the landmarks that name its points, so that they lie where a reader would mark them.
"""

# A landmark is an array and `point + (x, y)` shifts it; ruff takes that for joining tuples.
# ruff: noqa: RUF005

from __future__ import annotations

import math

import numpy as np

from fiducial.tools.phantoms.noise import smooth_noise
from fiducial.tools.phantoms.outline import Canvas, Points, ellipse_points, inset, ribbon, spline

Marks = dict[str, Points]


def place_landmarks(rng: np.random.Generator, sna_deg: float, snb_deg: float) -> Marks:
    """S, N, A, B, Pog, Me, Go, Po, Or, ANS, PNS, U1, L1, U1_apex, L1_apex: with exactly these two angles at N."""
    grow = rng.uniform(0.95, 1.05)

    def at(x: float, y: float, spread: float = 1.0) -> Points:
        return grow * np.array([x, y]) + rng.normal(0, spread, 2)

    marks = {"S": np.zeros(2), "N": at(69, -11), "Po": at(-22, 22), "Or": at(57, 20)}
    toward = math.atan2(*(marks["S"] - marks["N"])[::-1])
    for name, angle, far in (("A", sna_deg, rng.normal(58, 1)), ("B", snb_deg, rng.normal(98, 1.5))):
        # From the line NS, which runs back, the angle opens downwards: against the clock on a film with y down.
        turn = toward - math.radians(angle)
        marks[name] = marks["N"] + grow * far * np.array([math.cos(turn), math.sin(turn)])
    a, b = marks["A"], marks["B"]
    marks["ANS"], marks["PNS"] = a + at(4.5, -7, 0.5), a + at(-48, -5, 0.8)
    marks["U1"] = a + at(4.5, 27, 0.5)
    marks["L1"] = marks["U1"] + np.array([-rng.uniform(1.5, 3.0), -rng.uniform(1.5, 3.0)])
    marks["U1_apex"], marks["L1_apex"] = a + at(-8, 4.5, 0.5), b + at(-8, -1, 0.5)
    marks["Pog"], marks["Me"] = b + at(2.5, 13, 0.6), b + at(-6, 22, 0.6)
    marks["Go"] = np.array([marks["Po"][0] + grow * rng.uniform(8, 13), marks["Me"][1] - grow * rng.uniform(26, 31)])
    return marks


def draw_head(rng: np.random.Generator, canvas: Canvas, marks: Marks, at: Points) -> None:
    """Draw all onto ``canvas`` in place; at: where S lies, in mm from the corner of the image."""
    moved = {name: point + at for name, point in marks.items()}
    _soft(rng, canvas, moved)
    _vault(rng, canvas, moved)
    _cervical(rng, canvas, moved)
    _base(rng, canvas, moved)
    _midface(canvas, moved)
    _mandible(rng, canvas, moved)
    _teeth(canvas, moved)
    _holder(canvas, moved)


def _profile(m: Marks) -> Points:
    """Forehead, nose, lips, chin and throat, from the top of the head to the chest."""
    n, a, b = m["N"], m["A"], m["B"]
    rows = [
        n + (-64, -92), n + (-24, -78), n + (3, -50), n + (9, -24), n + (6, -4), n + (14, 14), n + (26, 34),
        n + (28, 41), n + (19, 49), a + (14, 0), a + (16, 8), m["U1"] + (15, -9), m["U1"] + (11, -1),
        m["L1"] + (15, 5), m["L1"] + (12, 13), b + (11, 0), m["Pog"] + (12, 0), m["Me"] + (8, 10),
        m["Me"] + (-12, 12), m["Me"] + (-40, 15), m["Me"] + (-52, 42), m["Me"] + (-54, 80),
    ]  # fmt: skip
    return spline(rows, samples=300)


def _soft(rng: np.random.Generator, canvas: Canvas, m: Marks) -> None:
    """Head, neck and the airway behind the tongue."""
    n, s = m["N"], m["S"]
    back = spline([s + (-92, 150), s + (-88, 92), s + (-104, 40), s + (-113, -20), s + (-98, -78), s + (-50, -112),
                   n + (-64, -92)], samples=200)  # fmt: skip
    body = np.concatenate([_profile(m), back])
    canvas.add(body, 0.20, 0.7)
    inner = body.mean(axis=0) + (body - body.mean(axis=0)) * 0.90
    canvas.add(inner, 0.05, 7)
    pns, me = m["PNS"], m["Me"]
    airway = [pns + (-16, -24), pns + (-20, 2), pns + (-22, 26), pns + (-20, 52), me + (-52, 18), me + (-50, 60),
              me + (-44, 60), me + (-45, 18), pns + (-8, 50), pns + (-10, 26), pns + (-8, 8),
              pns + (-3, -8)]  # fmt: skip
    canvas.add(spline(airway, closed=True), -0.09, 1.4)
    canvas.line(spline([me + (-34, 6), me + (-22, 9), me + (-14, 6)]), 3.4, 0.12, 0.8)  # hyoid
    shape = canvas.values.shape
    canvas.values[:] *= 1 + 0.03 * smooth_noise(rng, shape, 18 / canvas.mm_per_px)


def _vault(rng: np.random.Generator, canvas: Canvas, m: Marks) -> None:
    """Calvarium: rays graze its shell at the border, so that the border is bright; sutures; the frontal sinus."""
    n, s = m["N"], m["S"]
    outer = spline([n, n + (4, -14), n + (1, -38), n + (-18, -66), n + (-52, -86), s + (-28, -103), s + (-72, -86),
                    s + (-101, -46), s + (-106, -2), s + (-92, 34), s + (-64, 48), s + (-40, 44), s + (-18, 30),
                    s + (-6, 16), s + (20, 2), s + (48, -2)], closed=True, samples=400)  # fmt: skip
    middle = outer.mean(axis=0)
    canvas.add(outer, 0.13, 0.5)
    for shrink, amount in ((0.965, 0.06), (0.95, 0.05), (0.93, 0.03)):
        canvas.add(middle + (outer - middle) * shrink, -amount, 0.5)
    rim = outer[int(0.01 * 400) : int(0.66 * 400)]
    canvas.line(rim + (middle - rim) * 0.012, 1.5, 0.16, 0.35)
    canvas.line(rim + (middle - rim) * 0.075, 1.3, 0.12, 0.4)
    height, width = canvas.values.shape
    made = canvas.patch(outer, 1.0)
    marbled = smooth_noise(rng, (height, width), 11 / canvas.mm_per_px)[made.rows, made.columns]
    canvas.values[made.rows, made.columns] += 0.014 * made.share * marbled
    for start, end in ((s + (-22, -100), s + (4, -22)), (s + (-101, -40), s + (-52, 26))):
        along = np.linspace(0, 1, 120)[:, None]
        path = start + along * (end - start) + np.stack([np.sin(along[:, 0] * 90) * 0.8, np.zeros(120)], axis=1)
        canvas.line(path, 0.8, -0.03, 0.4)
    canvas.add(spline([n + (-1, -2), n + (3, -12), n + (0, -26), n + (-6, -22), n + (-7, -8)], closed=True), -0.10, 0.7)
    canvas.line(spline([n + (0, -1), n + (5, 6), n + (11, 17)]), np.linspace(4.5, 1.5, 240), 0.20, 0.4)  # nasal bone


def _base(rng: np.random.Generator, canvas: Canvas, m: Marks) -> None:
    """Anterior fossa, the sella's saddle about S, clivus, the dense petrous bone, orbits."""
    n, s = m["N"], m["S"]
    # The floor of the fossa is a circle about S, which is therefore its centre.
    saddle = ellipse_points(s, (5.0, 5.0), 0, 240)[:121]
    floor = [n + (-8, -2), n + (-26, -2), s + (22, -9), s + (10, -6), s + (6.5, -5), s + (5, 0)]
    canvas.line(np.concatenate([spline(floor, samples=120), saddle[1:]]), 1.5, 0.26, 0.35)
    clivus = [s + (-5, 0), s + (-6.5, -6), s + (-9, -5), s + (-13, 8), s + (-22, 30), s + (-28, 42)]
    canvas.line(spline(clivus), np.linspace(2.2, 4.5, 240), 0.20, 0.5)
    canvas.add(spline([s + (3, 7), s + (22, -4), s + (30, 8), s + (18, 17), s + (2, 16)], closed=True), -0.06, 0.9)
    petrous = [s + (-10, 8), s + (-4, 20), s + (-22, 34), s + (-50, 28), s + (-52, 10), s + (-30, 0)]
    canvas.add(spline(petrous, closed=True), 0.17, 3.0)
    for _ in range(40):  # mastoid air cells
        spot = s + (rng.uniform(-62, -40), rng.uniform(10, 44))
        canvas.add(ellipse_points(spot, rng.uniform(1.0, 2.4, 2), 0, 40), -0.05, 0.5)
    for shift in (0.0, 2.2):  # both orbital floors, not quite on one another
        rim = [m["Or"] + (5, -24 - shift), m["Or"] + (7, -12), m["Or"] + (4, -3 - shift), m["Or"] + (0, -shift),
               m["Or"] + (-14, -3 - shift), m["Or"] + (-28, -10 - shift)]  # fmt: skip
        canvas.line(spline(rim), 1.6, 0.15, 0.45)
        canvas.line(
            spline([n + (-6, -2 - shift), n + (-22, -9 - shift), s + (34, -17 - shift), s + (18, -11)]), 1.3, 0.10, 0.5
        )
    key = m["Or"] + (-16, 2)
    canvas.line(spline([key + (4, -6), key + (2, 10), key + (-1, 22), key + (-6, 10), key + (-6, -6)]), 1.8, 0.13, 0.5)
    canvas.line(spline([key + (-4, 4), s + (14, 25), m["Po"] + (14, 0)]), 5.0, 0.06, 1.0)  # zygomatic arch


def _midface(canvas: Canvas, m: Marks) -> None:
    """Palate from PNS to ANS; the front of the maxilla is deepest at A; antrum and nose are air."""
    ans, pns, a = m["ANS"], m["PNS"], m["A"]
    antrum = [m["Or"] + (-6, 6), m["Or"] + (2, 14), a + (-10, -10), a + (-34, -8), m["Or"] + (-28, 8)]
    canvas.add(spline(antrum, closed=True), -0.07, 1.0)
    canvas.add(spline([m["N"] + (3, 16), ans + (2, -4), ans + (-10, -5), m["Or"] + (4, 2)], closed=True), -0.05, 1.2)
    thick = np.interp(np.linspace(0, 1, 240), [0, 0.1, 0.9, 1], [0.8, 2.6, 3.0, 0.8])
    canvas.line(spline([ans, ans + (-8, 0.6), (ans + pns) / 2, pns]), thick, 0.24, 0.4)
    rise = m["U1"] - a
    front = spline([ans, a + (0.8, -3), a, a + 0.22 * rise + (0.6, 0), a + 0.5 * rise + (-1.0, 0)])
    body = np.concatenate([front, [m["U1"] + (-8, -9), a + (-38, 16), pns + (2, 12), pns]])
    canvas.add(body, 0.11, 0.5)
    canvas.line(front - np.array([0.55, 0]), 1.1, 0.17, 0.3)


def _mandible(rng: np.random.Generator, canvas: Canvas, m: Marks) -> None:
    """Symphysis deepest at B, foremost at Pog, lowest at Me; the angle at Go; ramus, condyle, coronoid; drawn twice."""
    b, pog, me, go, po = m["B"], m["Pog"], m["Me"], m["Go"], m["Po"]
    condyle, up = po + (13, 1), m["L1"] - b
    edge = spline([b + 0.66 * up + (-2.5, 0), b + 0.35 * up + (-1.0, 0), b, (b + pog) / 2 + (0.8, 0.5), pog,
                   (pog + me) / 2 + (2.4, 2.4), me,
                   me + (-7, -1.5), 0.62 * me + 0.38 * go + (0, -0.5), 0.25 * me + 0.75 * go + (0, 1.5), go,
                   go + (-1.5, -9), 0.45 * go + 0.55 * condyle + (-1, 0), condyle + (-5, 5), condyle + (-2, -3),
                   condyle + (5, -2), condyle + (6, 6), condyle + (13, 15), condyle + (24, 8), condyle + (29, 12),
                   condyle + (24, 34), go + (34, -16), b + (-34, -9), b + (-12, -12)],
                  closed=True, samples=480)  # fmt: skip
    far = edge + (rng.uniform(-2.0, 2.0), -rng.uniform(1.0, 2.2))
    symphysis = np.abs(edge[:, 0] - me[0]) < 22
    far[symphysis] = edge[symphysis]  # in the midline both sides are one
    canvas.add(edge, 0.13, 0.4)
    canvas.add(far, 0.05, 0.8)
    rim = inset(edge, 0.85)  # the cortex ends on the outline
    end = int(np.argmin(np.linalg.norm(edge - (go + (34, -16)), axis=1)))
    canvas.line(rim[:end], 1.7, 0.16, 0.3)  # the crest between the teeth has no such border
    canvas.line(spline([b + (-1.5, -4), b + (-4, 5), pog + (-5, 0), me + (-1, -5)]), 1.6, 0.10, 0.5)
    canvas.line(spline([me + (-9, -3), b + (-14, 6), b + (-13, -8)]), 1.6, 0.10, 0.5)
    canvas.line(spline([condyle + (14, 36), go + (30, -10), b + (-30, 2)]), 1.9, -0.06, 0.8)  # nerve canal


def tooth(tip: Points, apex: Points, wide: float) -> tuple[Points, Points]:
    """Outline of an incisor from apex to tip, which is its outermost point; and of its enamel."""
    axis = tip - apex
    share = np.array([0.0, 0.12, 0.35, 0.58, 0.72, 0.85, 0.96, 1.0])
    width = wide * np.array([0.05, 0.42, 0.72, 0.92, 1.0, 0.82, 0.52, 0.25])
    path = apex + share[:, None] * axis
    return ribbon(path, width), ribbon(path[3:], width[3:] * np.array([0.4, 1.0, 1.0, 1.0, 1.0]))


def _teeth(canvas: Canvas, m: Marks) -> None:
    for tip, apex, wide in (("U1", "U1_apex", 7.2), ("L1", "L1_apex", 6.0)):
        outline, enamel = tooth(m[tip], m[apex], wide)
        canvas.add(outline, 0.16, 0.25)
        canvas.add(enamel, 0.18, 0.25)
        axis = (m[apex] - m[tip]) / np.linalg.norm(m[apex] - m[tip])
        canvas.line(np.array([m[tip] + axis * 9, m[apex] - axis * 2]), 1.1, -0.09, 0.4)
    start = (m["U1"] + m["L1"]) / 2 + (-9, 0)
    for place in range(6):
        x, wide = start + np.array([-7.4 * place, -0.35 * place]), 6.4 if place < 3 else 9.5
        x = x - np.array([max(0, place - 3) * 2.6, 0])
        for sign, lean in ((-1, 0.8), (1, -0.8)):
            crown = x + (0, sign * 3.6)
            canvas.add(ellipse_points(crown, (wide / 2, 3.6), 0, 60), 0.19, 0.4)
            for root in (-1, 1) if place > 2 else (0,):
                path = np.array([crown + (root * wide / 4, sign * 2), crown + (root * wide / 3.4 + lean, sign * 16)])
                canvas.line(spline(path, samples=20), np.linspace(wide * (0.36 if root else 0.62), 1.2, 20), 0.10, 0.5)


def _cervical(rng: np.random.Generator, canvas: Canvas, m: Marks) -> None:
    """The cervical spine behind the throat: dens and atlas, then bodies with their processes."""
    top = m["S"] + (-31, 52)
    canvas.add(ellipse_points(top + (2, 4), (4.5, 13), -4), 0.15, 0.7)
    canvas.add(ellipse_points(top + (11, 1), (3.5, 5), 0), 0.16, 0.6)
    canvas.line(spline([top + (-12, 2), top + (-30, 0), top + (-44, 4)]), np.linspace(5, 10, 240), 0.14, 0.8)
    for number in range(5):
        middle = top + (-1.5 - 1.6 * number, 22 + 18.0 * number) + rng.normal(0, 0.3, 2)
        box = [middle + d for d in ((-9, -7.5), (0, -6.2), (9, -6.5), (8.6, 0), (10, 8), (0, 7), (-9, 7), (-8, 0))]
        canvas.add(spline(box, closed=True), 0.12, 0.6)
        canvas.line(np.concatenate([spline(box, closed=True), spline(box, closed=True)[:1]]), 1.4, 0.10, 0.5)
        canvas.add(ellipse_points(middle + (-16, 2), (6, 8), -12), 0.10, 0.8)
        canvas.line(
            spline([middle + (-20, 3), middle + (-32, 8), middle + (-44, 14)]), np.linspace(7, 9, 240), 0.10, 0.8
        )


def _holder(canvas: Canvas, m: Marks) -> None:
    """The cephalostat: the ear rod's ring about Po, and the metal rule by the forehead with a hole every 10 mm."""
    ring = ellipse_points(m["Po"], (4.2, 4.2), 0, 120)
    canvas.add(ring, 0.55, 0.25)
    canvas.add(ellipse_points(m["Po"], (2.4, 2.4), 0, 120), -0.55, 0.25)
    x, y = m["N"] + (22, -66)
    canvas.line(np.array([(x, y - 6), (x, y + 46)]), 5.0, 0.45, 0.25)
    for tick in range(5):
        canvas.add(ellipse_points((x, y + 10 * tick), (1.2, 1.2), 0, 60), -0.45, 0.2)
