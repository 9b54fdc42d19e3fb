"""Serves the model of a run until it is stopped."""

from __future__ import annotations

import json
import threading
import webbrowser
from pathlib import Path

from hw2.config.settings import Config
from hw2.errors import UsageError
from hw2.jobs import model as trained
from hw2.jobs.convolution import convolving
from hw2.machines import failures
from hw2.runs import folder as run_folder
from hw2.serve.model import Model
from hw2.serve.server import Server, is_local
from hw2.terminal import console


@failures.check_device_errors()
def serve(folder: str, config: Config, *, host: str, port: int, show: bool, nearest: int) -> None:
    """Serves the page and the API until a signal comes; prints one line of JSON when it is ready.

    Args:
      folder: The run folder.
      config: The settings.
      host: The address to bind.
      port: The port; 0 takes any that is free.
      show: Whether to open the page in a browser.
      nearest: How many of the nearest training pictures to show; 0 for none.

    Raises:
      Fault: There is no run, or the address cannot be had.
    """
    out = console.stderr()
    run = run_folder.find(Path(folder))
    checkpoint, tensors = trained.choose(run, config.checkpoint)
    with convolving(config, checkpoint):
        model = Model(checkpoint, tensors, config, nearest)
        del tensors
        try:
            server = Server(host, port, model)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise UsageError(
                f"cannot serve at {host}:{port} - {why}; give another --port, or 0 for any"
            ) from error
        with server:
            if not is_local(host):
                out.print(
                    f"warning: whoever can reach {host} at port {server.server_address[1]} may "
                    "send pictures, without a password; keep it inside a network that you trust"
                )
                if nearest:
                    out.print("it shows training pictures, too, unless you give --nearest=0")
            out.print(f"the model of step {checkpoint.step:,} is at {server.url}; Ctrl-C ends it")
            ready = {"url": server.url, "run": str(run.path), "step": checkpoint.step}
            print(json.dumps(ready), flush=True)
            if show:
                threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
            try:
                server.serve_forever()
            finally:
                model.close()
