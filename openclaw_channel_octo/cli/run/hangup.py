"""SIGHUP before `run` can reload: noted from its first moment on, instead of the end of the process."""

import os
import signal
import threading

__all__ = ["has_terminal", "note_hangups", "was_noted"]

_noted = threading.Event()


def note_hangups() -> None:
    """Note SIGHUP from now on; where it is ignored, handled already, or tells that the terminal goes, that stays."""
    is_main = threading.current_thread() is threading.main_thread()  # the only one that may
    if is_main and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL and not has_terminal():
        signal.signal(signal.SIGHUP, lambda *_: _noted.set())


def was_noted() -> bool:
    """Return whether SIGHUP has come since `note_hangups`."""
    return _noted.is_set()


def has_terminal() -> bool:
    """Return whether this process has a controlling terminal, with which it is expected to end."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
