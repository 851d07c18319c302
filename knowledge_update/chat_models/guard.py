"""Runs a command until it ends or whoever started it is gone, and then ends all that came of it.

Started as `python -I guard.py SECONDS COMMAND…` in a session of its own. Its standard input is held open by who started
it; it closes when that process closes it or dies, however it dies, so that no server outlives its work. This file
imports nothing of the package: it is run alone.
"""

import os
import signal
import subprocess
import sys
import threading
import time


def main(grace: float, command: list[str]) -> int:
    """Runs a command; returns its exit code.

    Args:
        grace: Seconds between asking all processes to end and ending them.
        command: The program and its arguments.
    """
    # It asks its own group to end, and stays.
    signal.signal(signal.SIGTERM, lambda *_: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    left = threading.Event()

    def end() -> None:
        # Not through `sys.stdin`: a thread that waits in it would break the interpreter's end.
        while os.read(0, 1):
            pass
        left.set()
        os.killpg(0, signal.SIGTERM)
        time.sleep(grace)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=end, daemon=True).start()
    code = child.wait()
    if left.is_set():
        # What the command had started and did not end itself.
        os.killpg(0, signal.SIGKILL)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
