#!/usr/bin/env python3
"""What more of the donor's layers bring as inputs of a fit: FastestDet on the whole backbone of Yolo-FastestV2.

    python bench/donor_layers.py --real FOLDER --truth pets09-s2l1.txt [--doc PART.md]

The first convolution behind the cut is fitted on 256 frames of the first half of vtest.avi, as docs/internals/fitting.md says: ridge
regression, rows weighted by the detector's own boxes, a low-rank 3x3 correction of what is left over. Beside the three layers
that the convolution reads it is given others that the donor computes anyway: its convolution reads them (1x1), or the
correction's first convolution does (1x1 beside its 3x3), brought to size as by repsim. Judged on frames 400:795:4 by
scripts/evaluate_detector.py. Shares no code with repsim; needs 4 GB of memory.
"""
import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from studies import SCORE, VIDEO, own

CALIBRATION, JUDGED = [i * 400 // 256 for i in range(256)], list(range(400, 795, 4))
SIZE, CELLS, KERNEL = (352, 352), 22, 9
FLOOR, RIDGE, CORRECTION_RIDGE, BATCH = 0.1, 1e-4, 1e-3, 16
EVERYTHING = ["*"]
# By how much less error per weight, fitted on three quarters of the frames and judged on the other.
GREEDY = ["reg_head_2", "first_conv", "stage2.2", "cls_head_2", "stage3.0", "stage3.1", "stage2.0"]
# Name, rank of the correction (None: all), layers that the convolution reads, layers that the correction reads.
FITS = [("refit", 0, [], []), ("refit + rank 8", 8, [], []), ("refit + rank 9", 9, [], []), ("refit + rank 11", 11, [], []),
        ("rank 8, correction reads the box branch", 8, [], ["reg_head_2"]),
        ("rank 8, correction reads seven layers", 8, [], GREEDY),
        ("rank 8, correction reads all", 8, [], EVERYTHING),
        ("rank 5, convolution reads stage3.0", 5, ["stage3.0"], []), ("rank 8, convolution reads stage3.0", 8, ["stage3.0"], []),
        ("full 3x3", None, [], [])]  # fmt: skip


class Pair:
    def __init__(self, folder: Path):
        self.receiver = torch.jit.load(str(folder / "fastestdet.pt")).eval()
        self.donor = torch.jit.load(str(folder / "yolofastestv2.pt")).eval()
        self.convolution, self.normalisation, _ = self.receiver.SPP.Conv1x1.conv1x1.children()

    def pyramid(self, c3: torch.Tensor, c4: torch.Tensor, c5: torch.Tensor) -> torch.Tensor:
        """What the receiver's convolution reads."""
        return torch.cat((F.avg_pool2d(c3, 3, 2, 1), c4, F.interpolate(c5, scale_factor=2.0)), 1)

    def wanted(self, x: torch.Tensor) -> torch.Tensor:
        return self.convolution(self.pyramid(*self.receiver.backbone(x)))

    def behind(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The rest of the receiver."""
        spp, x = self.receiver.SPP, F.relu(self.normalisation(y))
        return self.receiver.boxes(self.receiver.detect_head(F.relu(x + spp.output(torch.cat((spp.S1(x), spp.S2(x), spp.S3(x)), 1)))))

    def given(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The donor's values in place of the receiver's, and its other layers."""
        backbone, fpn = self.donor.backbone, self.donor.fpn
        value, ends, others = backbone.first_conv(x), [], {}
        others["first_conv"] = value
        value = backbone.maxpool(value)
        for stage in (2, 3, 4):
            for number, unit in enumerate(getattr(backbone, f"stage{stage}").children()):
                value = unit(value)
                others[f"stage{stage}.{number}"] = value
            ends.append(others.popitem()[1])
        small = fpn.conv1x1_3(ends[2])
        large = fpn.conv1x1_2(torch.cat((F.interpolate(ends[2], scale_factor=2.0), ends[1]), 1))
        others.update({"conv1x1_2": large, "conv1x1_3": small})
        for name, of in (("cls_head_2", large), ("reg_head_2", large), ("cls_head_3", small), ("reg_head_3", small)):
            others[name] = getattr(fpn, name)(of)
        return self.pyramid(*ends), {name: self.sized(value) for name, value in others.items()}

    def sized(self, value: torch.Tensor) -> torch.Tensor:
        if value.shape[-1] > CELLS:
            return F.adaptive_avg_pool2d(value, CELLS)
        return value if value.shape[-1] == CELLS else F.interpolate(value, size=(CELLS, CELLS), mode="bilinear", align_corners=False)


def row_weights(model: torch.jit.ScriptModule, pictures: dict) -> torch.Tensor:
    """Per frame and cell: the best score of a box that covers it, by the part that it covers."""
    weights = torch.zeros(len(pictures), CELLS, CELLS, dtype=torch.float64)
    place, low = {index: k for k, index in enumerate(pictures)}, torch.arange(CELLS, dtype=torch.float64) / CELLS
    for (index, _), (boxes, scores) in own.detect(model, SIZE, pictures).items():
        for (x1, y1, x2, y2), score in zip(boxes.tolist(), scores.tolist(), strict=True):
            wide, tall = ((low + 1 / CELLS).clamp(max=b) - low.clamp(min=a) for a, b in ((x1, x2), (y1, y2)))
            smaller = min(max((x2 - x1) * (y2 - y1), 1e-12), 1 / CELLS**2)
            covered = (tall.clamp(min=0)[:, None] * wide.clamp(min=0)[None] / smaller).clamp(max=1)
            weights[place[index]] = torch.maximum(weights[place[index]], score * covered)
    return weights.flatten(1) + FLOOR


class Sums:
    """Weighted covariances of [3x3 neighbourhoods of what is given, other layers, what is wanted], about the first rows' mean."""

    def __init__(self, pair: Pair, pictures: dict):
        weights, total, self.shift, self.columns = row_weights(pair.receiver, pictures), 0.0, None, {}
        for begin in range(0, len(pictures), BATCH):
            x = torch.cat([own_input(picture) for picture in list(pictures.values())[begin : begin + BATCH]])
            given, others = pair.given(x)
            parts = [F.unfold(given, 3, padding=1), *(value.flatten(2) for value in others.values()), pair.wanted(x).flatten(2)]
            rows = torch.cat([part.transpose(1, 2).flatten(0, 1) for part in parts], 1)
            if self.shift is None:
                self.shift, at = rows.mean(0), given.shape[1] * KERNEL
                self.neighbours, self.middle = torch.arange(at), torch.arange(given.shape[1]) * KERNEL + KERNEL // 2
                for name, value in others.items():
                    self.columns[name], at = torch.arange(at, at + value.shape[1]), at + value.shape[1]
                self.inputs = at
                self.mean, self.products = torch.zeros(rows.shape[1], dtype=torch.float64), torch.zeros(2 * rows.shape[1:], dtype=torch.float64)
            rows, weight = rows - self.shift, weights[begin : begin + BATCH].flatten()
            # Background says least and is most of the rows: a quarter of it counts for all.
            background, turn = weight <= 1.5 * FLOOR, torch.arange(CELLS**2).repeat(len(x)) + torch.arange(len(x)).repeat_interleave(CELLS**2)
            taken = ~background | (turn % 4 == 0)
            rows, weight = rows[taken], torch.where(background, 4 * weight, weight)[taken]
            weighted = rows * weight.float()[:, None]
            total, self.mean, self.products = total + weight.sum(), self.mean + weighted.sum(0), self.products.add_(weighted.T @ rows)
        self.mean /= total
        self.products = self.products.div_(total).sub_(torch.outer(self.mean, self.mean))

    def solve(self, columns: torch.Tensor, right: torch.Tensor, ridge: float) -> torch.Tensor:
        of = self.products[columns][:, columns]
        of.diagonal().add_(ridge * of.diagonal().mean())
        return torch.cholesky_solve(right, torch.linalg.cholesky(of))

    def fit(self, rank: int | None, convolution: list[str], correction: list[str]) -> tuple[torch.Tensor, torch.Tensor, int, float]:
        """Weights by input, bias, weights beyond those of the old convolution and normalisation, R²."""
        first, more = ([self.columns[name] for name in (self.columns if names == EVERYTHING else names)] for names in (convolution, correction))
        reads, sees = torch.cat([self.middle, *first]), torch.cat([self.neighbours, *more])
        wanted = self.products[: self.inputs, self.inputs :]
        outputs = wanted.shape[1]
        map_ = torch.zeros_like(wanted)
        map_[reads] = self.solve(reads, wanted[reads], RIDGE)
        added = outputs * (len(reads) - len(self.middle) - 3)  # the normalisation's four a channel become a bias
        if rank != 0:
            full = self.solve(sees, wanted[sees] - self.products[sees][:, reads] @ map_[reads], CORRECTION_RIDGE)
            if rank:
                most = torch.linalg.eigh(full.T @ self.products[sees][:, sees] @ full)[1][:, -rank:]
                full = full @ most @ most.T
            added += rank * (len(sees) + outputs) if rank else outputs * (len(sees) - len(self.middle))
            map_[sees] += full
        explained = (2 * map_ * wanted - map_ * (self.products[: self.inputs, : self.inputs] @ map_)).sum()
        mean = self.mean + self.shift
        bias = mean[self.inputs :] - map_.T @ mean[: self.inputs]
        return map_.float(), bias.float(), added, float(explained / self.products[self.inputs :, self.inputs :].diagonal().sum())


class Merged(torch.nn.Module):
    def __init__(self, pair: Pair, sums: Sums, map_: torch.Tensor, bias: torch.Tensor):
        super().__init__()
        self.pair, self.bias = pair, bias
        self.kernel = map_[sums.neighbours].T.reshape(len(bias), -1, 3, 3).contiguous()
        self.beside = {name: map_[at].T[:, :, None, None].contiguous() for name, at in sums.columns.items() if map_[at].any()}

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        given, others = self.pair.given(x)
        return self.pair.behind(F.conv2d(given, self.kernel, self.bias, padding=1) + sum(F.conv2d(others[n], w) for n, w in self.beside.items()))


def own_input(picture) -> torch.Tensor:
    return torch.from_numpy(own.cv2.resize(picture, SIZE)).permute(2, 0, 1)[None].float() / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--doc", type=Path)
    args = parser.parse_args()
    pair = Pair(args.real)
    pictures = own.read_frames(VIDEO, JUDGED)
    height, width = pictures[JUDGED[0]].shape[:2]
    truth, itself = own.read_truth(args.truth, (width, height), JUDGED), own.detect(pair.receiver, SIZE, pictures)
    with torch.inference_mode():
        sums = Sums(pair, own.read_frames(VIDEO, CALIBRATION))
    lines = ["| fit | extra weights | fidelity | AP | R² |", "|---|---|---|---|---|"]
    for name, rank, convolution, correction in FITS:
        map_, bias, added, r2 = sums.fit(rank, convolution, correction)
        found = own.detect(Merged(pair, sums, map_, bias).eval(), SIZE, pictures)
        ap = own.average_precision({key: boxes for key, boxes in found.items() if key[1] == own.PERSON}, truth)
        lines.append(f"| {name} | {added} | {own.fidelity(found, itself, SCORE):.3f} | {ap:.3f} | {r2:.3f} |")
        print(lines[-1], flush=True)
    if args.doc:
        args.doc.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
