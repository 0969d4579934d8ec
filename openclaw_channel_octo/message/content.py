"""What the content types carry beside text, read leniently (protocol §6.1, octo-bot-api §4.3)."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from openclaw_channel_octo.message.lenient import LenientModel, Number, Object, Size, Text

__all__ = ["BLOCK_LIMIT", "Block", "Contact", "File", "Forward", "Location", "RichText", "System"]

BLOCK_LIMIT = 200
"""Blocks of a rich text that are read."""

_PEOPLE_LIMIT = 1_000
_MESSAGE_LIMIT = 100
"""Messages of one forward that are looked at; fewer are shown."""


def _up_to(limit: int, model: type[LenientModel] | None = None) -> BeforeValidator:
    """Return a validator that reads so many objects of a list, or leaves them unread."""

    def read(value: object) -> tuple[Any, ...]:
        found = (
            islice((item for item in value if isinstance(item, dict)), limit)
            if isinstance(value, list)
            else ()
        )
        return tuple(map(model.model_validate, found) if model else found)

    return BeforeValidator(read)


class File(LenientModel):
    """Types 2 to 5, 8, 12 and 13: something at a URL; ``name`` and ``size`` are the sender's claims."""

    url: Text = ""
    name: Text = ""
    size: Size = None
    caption: Text = ""


class Location(LenientModel):
    """Type 6. Clients disagree on the names of the coordinates."""

    latitude: Number = None
    lat: Number = None
    longitude: Number = None
    lng: Number = None
    lon: Number = None
    title: Text = ""
    address: Text = ""

    def coordinates(self) -> str:
        """Return ``lat,lng``, empty unless both are there."""
        north = self.latitude if self.latitude is not None else self.lat
        east = next((value for value in (self.longitude, self.lng, self.lon) if value is not None), None)
        return "" if north is None or east is None else f"{north},{east}"


class Contact(LenientModel):
    """Type 7."""

    uid: Text = ""
    name: Text = ""


People = Annotated[tuple[Contact, ...], _up_to(_PEOPLE_LIMIT, Contact)]


class _Forwarded(LenientModel):
    from_uid: Text = ""
    payload: Object = Field(default_factory=dict)


class Forward(LenientModel):
    """Type 11: messages of another conversation; each may be a forward again."""

    users: People = ()
    msgs: Annotated[tuple[dict[Any, Any], ...], _up_to(_MESSAGE_LIMIT)] = ()

    def messages(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each message's sender, by name where it is known, and its payload."""
        names = {person.uid: person.name for person in self.users if person.name}
        for item in self.msgs:
            message = _Forwarded.model_validate(item)
            yield names.get(message.from_uid, message.from_uid), message.payload


class Block(LenientModel):
    """A part of a rich text: ``type`` is ``text``, ``image`` or something newer."""

    type: Text = ""
    text: Text = ""
    url: Text = ""
    name: Text = ""
    size: Size = None


class RichText(LenientModel):
    """Type 14. A string in ``content`` is the older form and not read here."""

    content: Annotated[tuple[Block, ...], _up_to(BLOCK_LIMIT, Block)] = ()


class System(LenientModel):
    """Types from 1000 on: ``extra`` holds the accounts that ``{0}`` in the text stands for."""

    extra: People = ()
