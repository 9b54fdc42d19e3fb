"""Our networks in PyTorch, channels last; imports neither TensorFlow nor hw2."""

from __future__ import annotations

from collections.abc import Callable

import machine
import problem
import torch
import turns
from torch import nn
from torch.nn import functional


def step(given: problem.Problem) -> Callable[[], None]:
    """A call that trains one step on one batch, with Adam."""
    images, labels = given.data()
    net = given.of(MODELS, "PyTorch")(given.image_size, problem.NUM_CLASSES)
    net = net.to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(net.parameters())
    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    x = x.contiguous(memory_format=torch.channels_last)
    y = torch.from_numpy(labels).long()
    bfloat16 = given.peer == "torch_bfloat16"

    def train() -> None:
        adam.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            loss = functional.cross_entropy(net(x), y)
        loss.backward()
        adam.step()
        loss.item()

    return train


class Inception(nn.Module):
    """Four towers, concatenated, batch norm, ReLU."""

    def __init__(self, inputs: int, towers: tuple[int, int, int, int], bottleneck: int):
        super().__init__()
        one, three, five, pool = towers

        def conv(inputs, outputs, kernel, bias=False):
            return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)

        self.one = conv(inputs, one, 1)
        self.three = nn.Sequential(
            conv(inputs, bottleneck, 1, True), nn.ReLU(True), conv(bottleneck, three, 3)
        )
        self.five = nn.Sequential(
            conv(inputs, bottleneck, 1, True),
            nn.ReLU(True),
            conv(bottleneck, five, 3, True),
            nn.ReLU(True),
            conv(five, five, 3),
        )
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(inputs, pool, 1))
        self.norm = nn.BatchNorm2d(sum(towers))

    def forward(self, x):
        towers = [tower(x) for tower in (self.one, self.three, self.five, self.pool)]
        return functional.relu(self.norm(torch.cat(towers, 1)))


def inception10(side: int, classes: int) -> nn.Module:
    """The network of ten layers."""
    side = -(-side // 16)
    return nn.Sequential(
        _block(3, 64),
        _block(64, 128, 2),
        nn.MaxPool2d(3, 2, 1),
        Inception(128, (64, 96, 96, 64), 64),
        nn.MaxPool2d(3, 2, 1),
        nn.Dropout2d(0.25),
        Inception(320, (32, 64, 64, 32), 96),
        nn.MaxPool2d(3, 2, 1),
        nn.Dropout2d(0.25),
        nn.Flatten(),
        nn.Linear(side * side * 192, 256, bias=False),
        nn.BatchNorm1d(256),
        nn.ReLU(True),
        nn.Dropout(0.5),
        nn.Linear(256, classes),
    )


class SEBlock(nn.Module):
    """Two convolutions, squeeze and excitation, beside a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.convs = nn.Sequential(
            _block(inputs, width, stride),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.excite = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(width, width // 16, 1),
            nn.ReLU(True),
            nn.Conv2d(width // 16, width, 1),
            nn.Sigmoid(),
        )
        self.shortcut = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x):
        y = self.convs(x)
        return functional.relu(y * self.excite(y) + self.shortcut(x))


def se_resnet34(side: int, classes: int) -> nn.Module:
    """ResNet-34 with squeeze and excitation, its stem for large pictures."""
    stages, inputs = [_block(3, 64, 2, 7), nn.MaxPool2d(3, 2, 1)], 64
    for width, depth in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for index in range(depth):
            stages.append(SEBlock(inputs, width, 2 if width > 64 and index == 0 else 1))
            inputs = width
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


MODELS = {"inception10": inception10, "se_resnet34": se_resnet34}


def _block(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(True))


if __name__ == "__main__":
    turns.serve(lambda: (step(problem.parsed()), machine.libraries("torch")))
