"""Processes that work for another one end with it, however it ends."""

import os
from multiprocessing import parent_process
from threading import Thread


def end_with_parent() -> None:
    """For the start of a worker process: a thread waits for the end of the parent."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()
