"""The pictures of input_pipeline.py by PyTorch and Pillow; imports neither TensorFlow nor hw2.

python torch_pipeline.py FOLDER BATCH BATCHES
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import machine
import numpy as np
import turns
from PIL import Image
from torch.utils.data import DataLoader, Dataset

SHORT_SIDE, CROP, SIDE = 260, 200, 100  # as in input_pipeline.py
ENDINGS = (".jpg", ".jpeg", ".png")


class Pictures(Dataset):
    """Any number of pictures from class folders, each changed by its index."""

    def __init__(self, folder: Path):
        self.paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
        classes = [path.relative_to(folder).parts[0] for path in self.paths]
        names = sorted(set(classes))
        self.labels = [names.index(name) for name in classes]

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        rng = np.random.default_rng(index)
        number = rng.integers(len(self.paths))
        with Image.open(self.paths[number]) as file:
            image = file.convert("RGB")
        scale = SHORT_SIDE / min(image.size)
        image = image.resize([max(SHORT_SIDE, round(scale * s)) for s in image.size], 2)
        side = int(rng.integers(CROP, SHORT_SIDE + 1))
        left, top = (int(rng.integers(s - side + 1)) for s in image.size)
        box = (left, top, left + side, top + side)
        x = np.asarray(image.resize((SIDE, SIDE), 2, box), np.float32)
        if rng.random() < 0.5:
            x = x[:, ::-1]
        x = x + rng.uniform(-63, 63)
        mean = x.mean((0, 1))
        x = (x - mean) * rng.uniform(0.2, 1.8) + mean
        x = (x - x.mean()) / max(x.std(), 1e-3)
        return x.astype(np.float32), self.labels[number]


def main() -> None:
    folder, batch, batches = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    loader = DataLoader(Pictures(folder), batch, num_workers=machine.cores(), prefetch_factor=2)
    facts = machine.libraries("torch", "pillow")
    turns.serve(lambda: (lambda: list(itertools.islice(loader, batches)), facts))


if __name__ == "__main__":
    main()
