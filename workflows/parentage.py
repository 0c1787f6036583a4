"""A process that ends with its parent, so that nothing is left running when that is killed."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with(parent: int, how: signal.Signals) -> None:
    """Have the kernel send this process `how` when its parent dies, which it may have done already.

    Linux only; elsewhere it does nothing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, how)
    if os.getppid() != parent:
        os.kill(os.getpid(), how)
