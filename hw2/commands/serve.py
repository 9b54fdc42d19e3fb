"""Opens a page to try a trained model on pictures.

    hw2 serve RUN
    hw2 serve RUN --port=0 --noopen

RUN, or --checkpoint_dir, is the run folder of a training. The page is for this machine only, at
127.0.0.1, unless --host says otherwise. Drop, paste or photograph a picture there; it is kept in
memory alone. The answer comes with the nearest training pictures. Ctrl-C ends it. --checkpoint,
--weights, --top_k, --reject_below, --reject_by and --max_pixels are as for `hw2 predict`.
"""

from __future__ import annotations

from hw2.commands.command import Command, Own, run_folder
from hw2.config.fields import setting
from hw2.config.rules import NEIGHBOURS, PORT
from hw2.config.settings import Config


def _serve(config: Config, own: Own) -> None:
    from hw2.serve import build  # imports TensorFlow, so only once the flags are read

    build.serve(
        run_folder(config),
        config,
        host=own.host,
        port=own.port,
        show=own.open,
        nearest=own.nearest,
    )


COMMAND = Command(
    __doc__,
    _serve,
    words=("checkpoint_dir",),
    flags={
        "port": setting(8765, "port of the page; 0 for any that is free", PORT),
        "host": setting("127.0.0.1", "address to serve at; 0.0.0.0: to all"),
        "nearest": setting(6, "nearest training pictures shown; 0: none", NEIGHBOURS),
        "open": setting(True, "--noopen does not start a browser"),
    },
    check=run_folder,
    lasting=True,
)
