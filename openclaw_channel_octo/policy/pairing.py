"""The codes with which people are let in to a bot's direct messages (openclaw-host §3.4)."""

__all__ = ["ALPHABET", "CODE_LENGTH", "new_code"]

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Letters and digits that nobody takes for another one of them: no 0 and O, no 1, I and L."""

CODE_LENGTH = 8


def new_code(chance: str) -> str:
    """Return a code.

    Args:
        chance: at least 20 hexadecimal digits nobody can guess.
    """
    left, code = int(chance, 16), ""
    for _ in range(CODE_LENGTH):
        left, letter = divmod(left, len(ALPHABET))
        code += ALPHABET[letter]
    return code
