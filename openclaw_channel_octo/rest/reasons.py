"""Why nobody can be reached, in words an operator can act on."""

import os
import ssl

__all__ = ["reason_of"]

_UNTRUSTED = "its certificate is not trusted here ({}; the variable SSL_CERT_FILE names others to trust)"


def reason_of(error: BaseException) -> str:
    """Return why a connection failed; nothing of what was sent, and no address, is in it.

    Args:
        error: of this library's HTTP client or of the system; the class is named where it has no words.
    """
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    match cause:
        case ssl.SSLCertVerificationError():
            return _UNTRUSTED.format(cause.verify_message)
        case ssl.SSLError():
            return f"no TLS connection can be made ({(cause.reason or 'no reason given').replace('_', ' ').lower()})"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number)
        case TimeoutError():
            return "no answer in time"
        case _:
            return type(error).__name__
