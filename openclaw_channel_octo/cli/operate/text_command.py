"""Commands whose last argument is a text of an agent, which may begin like an option."""

from collections.abc import Sequence

import click

__all__ = ["TextCommand"]


class TextCommand(click.Command):
    """A command whose last argument is a text: ``- one item`` is such a text, and no option.

    An argument that begins with a dash and has a space or a line end in it is the text, unless it is an option of the
    command with its value.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, the text behind all others."""
        place = None if "--" in args else self._text_in(args)
        if place is not None:
            args = [*args[:place], *args[place + 1 :], "--", args[place]]
        return super().parse_args(ctx, args)

    def _text_in(self, args: Sequence[str]) -> int | None:
        """Return where the text stands, ``None`` where it does not look like an option."""
        options = [param for param in self.params if isinstance(param, click.Option)]
        names = {name for option in options for name in option.opts}
        valued = {name for option in options if not option.is_flag for name in option.opts}
        for place, arg in enumerate(args):
            is_value = place > 0 and args[place - 1] in valued
            is_text = (
                arg.startswith("-") and any(map(str.isspace, arg)) and arg.partition("=")[0] not in names
            )
            if is_text and not is_value:
                return place
        return None
