"""Put the plugin into the extensions folder of a gateway, and take it away."""

import json
import os
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from openclaw_channel_octo import __version__
from openclaw_channel_octo.errors import ConfigError

__all__ = ["PLUGIN", "folder_in", "install", "installed_version", "remove", "require_ours"]

PLUGIN = "openclaw-octo"
"""The plugin's id in a gateway, and the name of its folder."""

_MANIFEST = "openclaw.plugin.json"
_VERSIONED = (_MANIFEST, "package.json")
_FOLDER_MODE = 0o755  # a gateway loads no plugin from a folder that others may write to


def folder_in(state_dir: Path) -> Path:
    """Return where the plugin is in a gateway with this state folder."""
    return state_dir / "extensions" / PLUGIN


def install(state_dir: Path) -> Path:
    """Write the plugin, in the place of an older one; return its folder.

    The folder is written beside its place and moved there whole. Raises `ConfigError` where something else stands
    there, `OSError` where it cannot be written.
    """
    require_ours(state_dir)
    place = folder_in(state_dir)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state_dir, prefix=f".{PLUGIN}-") as beside:
        fresh = Path(beside) / "fresh"
        fresh.mkdir()
        fresh.chmod(_FOLDER_MODE)
        for name, text in _contents().items():
            (fresh / name).write_text(text, encoding="utf-8")
        if place.exists():
            place.rename(Path(beside) / "before")
        fresh.rename(place)
    return place


def remove(state_dir: Path) -> bool:
    """Remove the plugin; return whether there was one.

    Raises `ConfigError` where something else stands in its place, `OSError` where it cannot be removed.
    """
    require_ours(state_dir)
    place = folder_in(state_dir)
    if not place.exists():
        return False
    with tempfile.TemporaryDirectory(dir=state_dir, prefix=f".{PLUGIN}-") as beside:
        place.rename(Path(beside) / "before")
    return True


def installed_version(state_dir: Path) -> str | None:
    """Return the version of the plugin in a gateway, ``None`` where there is none that can be read."""
    manifest = _manifest(folder_in(state_dir))
    return str(manifest.get("version", "")) if manifest.get("id") == PLUGIN else None


def require_ours(state_dir: Path) -> None:
    """Raise `ConfigError` where something stands in the plugin's place that `install` did not write."""
    place = folder_in(state_dir)
    if os.path.lexists(place) and not _is_ours(place):
        raise ConfigError(
            f"{place}: this is not what openclaw-octo gateway install wrote; move it away first"
        )


def _is_ours(place: Path) -> bool:
    """Return whether a folder holds nothing but what `install` writes there."""
    if place.is_symlink() or not place.is_dir() or _manifest(place).get("id") != PLUGIN:
        return False
    return all(entry.is_file() and entry.suffix in {".js", ".json"} for entry in place.iterdir())


def _contents() -> Mapping[str, str]:
    """Return the files of this package's plugin by name, with the package's version in them."""
    found = {}
    for entry in files(__package__).joinpath("extension").iterdir():
        text = entry.read_text(encoding="utf-8")
        if entry.name in _VERSIONED:
            text = json.dumps({**json.loads(text), "version": __version__}, indent=2) + "\n"
        found[entry.name] = text
    return found


def _manifest(place: Path) -> Mapping[str, object]:
    try:
        content = json.loads((place / _MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
