"""`openclaw-octo gateway install` and `uninstall`: the plugin's files, and its lines in openclaw.json."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from openclaw_channel_octo import __version__
from openclaw_channel_octo.cli.gateway.settings import Settings, read_settings
from openclaw_channel_octo.cli.gateway.state import gateway_folder, read_state
from openclaw_channel_octo.cli.options import CONFIG_OPTION, JSON_OPTION, with_files
from openclaw_channel_octo.cli.output import NOT_TRIED, json_text, refuse
from openclaw_channel_octo.cli.setup.openclaw import usual_file
from openclaw_channel_octo.config.load import load_config
from openclaw_channel_octo.config.model import GatewayHostConfig, OctoConfig
from openclaw_channel_octo.errors import ConfigError
from openclaw_channel_octo.host.plugin import files
from openclaw_channel_octo.host.plugin.files import PLUGIN
from openclaw_channel_octo.session.key import CHANNEL

__all__ = ["install", "uninstall"]

RESTART = "openclaw gateway restart"

_FILE_OPTION = click.option(
    "--openclaw",
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),
    help="The gateway's openclaw.json. Default: the one the configuration names, else this user's.",
)
_WRITE_OPTION = click.option(
    "--write", is_flag=True, help="Change openclaw.json too; a copy is kept beside it."
)


@click.command()
@CONFIG_OPTION
@_FILE_OPTION
@_WRITE_OPTION
@JSON_OPTION
def install(config_file: Path | None, openclaw: Path | None, *, write: bool, as_json: bool) -> None:
    """Put the plugin into a gateway, show its lines.

    Or this version in the place of another. The lines are those for openclaw.json; --write puts them there.

    With the plugin Octo is a channel of the gateway: what its agents say by themselves arrives. The bots stay in this
    program.

    Exit codes: 0 done, 2 something is in the way; then openclaw.json was not changed.
    """
    try:
        config = _configured(config_file, openclaw)
        settings = read_settings(_file(config, openclaw))
        folder = gateway_folder(settings.file)
        _require_alone(settings.file)
        socket = config.host.state_dir.absolute() / "control.sock"
        names = [name for name, bot in config.accounts.items() if bot.enabled]
        content = settings.with_plugin(socket, names)
        if write and content != settings.raw:
            _require_here(settings, "put the lines where they belong by hand; without --write they are shown")
        before = files.installed_version(folder)
        place = files.install(folder, __version__)
        told: dict[str, Any] = {
            "plugin": str(place),
            "version": __version__,
            "before": before,
            "socket": str(socket),
        }
        told |= {"media_roots": _not_allowed(config, settings.media_folders(folder))}
        told |= _settle(settings, content, folder, write=write)
    except (ConfigError, OSError) as error:
        _refuse(error, as_json=as_json)
    named = openclaw or (None if _configured_file(config) else settings.file)
    check = with_files("gateway check", config_file, named)
    _tell(told, settings, _lines(content), check, as_json=as_json)


@click.command()
@CONFIG_OPTION
@_FILE_OPTION
@_WRITE_OPTION
@JSON_OPTION
def uninstall(config_file: Path | None, openclaw: Path | None, *, write: bool, as_json: bool) -> None:
    """Remove the plugin from a gateway.

    Its lines in openclaw.json have to go first: --write takes them out.

    Exit codes: 0 done, 2 something is in the way; then openclaw.json was not changed.
    """
    try:
        settings = read_settings(_named_or_usual(config_file, openclaw))
        folder = gateway_folder(settings.file)
        content = settings.without_plugin()
        files.require_ours(folder)
        if content != settings.raw:
            _require_here(settings, "take the lines out by hand first")
        if not write:
            _require_unnamed(settings, content)
        told = _settle(settings, content, folder, write=write)
        told |= {"plugin": str(files.folder_in(folder)), "removed": files.remove(folder)}
    except (ConfigError, OSError) as error:
        _refuse(error, as_json=as_json)
    _tell(told, settings, None, "", as_json=as_json)


def _configured(config_file: Path | None, openclaw: Path | None) -> OctoConfig:
    """Return the bots' configuration, no token read; where no file is named, the one in this user's gateway."""
    gateways = openclaw or (usual_file() if config_file is None else None)
    try:
        return load_config(config_file, openclaw=gateways, connecting=False, patient=True).config
    except ConfigError as error:
        named = config_file or gateways
        hint = (
            () if config_file else ("where the bots have a file of their own, name it: --config octo.json",)
        )
        raise ConfigError(*(f"{named}: {problem}" for problem in error.problems), *hint) from None


def _named_or_usual(config_file: Path | None, named: Path | None) -> Path:
    if config_file is None or named is not None:
        return (named or usual_file()).absolute()
    return _file(_configured(config_file, None), None)


def _file(config: OctoConfig, named: Path | None) -> Path:
    """Return the gateway's file: the one that was named, else that of the configuration, else this user's."""
    return (named or _configured_file(config) or usual_file()).absolute()


def _configured_file(config: OctoConfig) -> Path | None:
    return config.host.openclaw_config if isinstance(config.host, GatewayHostConfig) else None


def _require_alone(file: Path) -> None:
    """Raise `ConfigError` where the gateway loads another plugin for this channel."""
    for other in read_state(file).others:
        raise ConfigError(
            f"the gateway loads the plugin {other} for channel {CHANNEL}, and both never at once: "
            f"openclaw plugins disable {other}; see docs/migration.md"
        )


def _require_here(settings: Settings, otherwise: str) -> None:
    """Raise `ConfigError` where what is to be changed stands in other files too, which are not written."""
    if settings.elsewhere:
        raise ConfigError(f"{settings.file}: {settings.elsewhere} includes other files: {otherwise}")


def _require_unnamed(settings: Settings, content: Mapping[str, Any]) -> None:
    """Raise `ConfigError` where a gateway's file differs from that of a gateway without the plugin."""
    if content != settings.raw:
        raise ConfigError(
            f"{settings.file} still names {PLUGIN} or holds channels.{CHANNEL}, with which a gateway without a plugin "
            "does not start; nothing was removed: --write takes the lines out first"
        )


def _settle(settings: Settings, content: Mapping[str, Any], folder: Path, *, write: bool) -> dict[str, Any]:
    """Write a gateway's file where that is asked for and needed; return what became of it."""
    changed = content != settings.raw
    told: dict[str, Any] = {
        "settings": str(settings.file),
        "changed": False,
        "to_do": changed,
        "backup": None,
    }
    if not write or not changed:
        return told
    backup = settings.write(content, folder)
    return told | {
        "changed": True,
        "to_do": False,
        "backup": str(backup),
        "comments_lost": settings.commented,
    }


def _not_allowed(config: OctoConfig, folders: Sequence[Path]) -> list[str]:
    """Return the folders from which some bot that is on may not send files."""
    roots = [bot.media_roots for bot in config.accounts.values() if bot.enabled]
    allowed = [all(any(folder.is_relative_to(root) for root in each) for each in roots) for folder in folders]
    return [str(folder) for folder, fine in zip(folders, allowed, strict=True) if not fine]


def _lines(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a gateway's file is about the plugin, without any bot's settings."""
    plugins = content["plugins"]
    allow = {"allow": plugins["allow"]} if plugins.get("allow") else {}
    entries = {"entries": {PLUGIN: plugins["entries"][PLUGIN]}}
    return {"plugins": {**allow, **entries}, "channels": {CHANNEL: {"enabled": True}}}


def _refuse(error: Exception, *, as_json: bool) -> NoReturn:
    problems = list(error.problems) if isinstance(error, ConfigError) else [str(error)]
    refuse(NOT_TRIED, problems, *problems, as_json=as_json)


def _tell(
    told: Mapping[str, Any],
    settings: Settings,
    lines: Mapping[str, Any] | None,
    check: str,
    *,
    as_json: bool,
) -> None:
    if as_json:
        click.echo(json_text({"ok": True, **told, "lines": lines}, indent=2))
        return
    click.echo("\n".join(_words(told, settings, lines, check)))


def _words(
    told: Mapping[str, Any], settings: Settings, lines: Mapping[str, Any] | None, check: str
) -> Sequence[str]:
    if lines is None:
        words = [f"plugin    {told['plugin']}: {'removed' if told['removed'] else 'there was none'}"]
    else:
        was = f", before it {told['before']}" if told["before"] not in {None, __version__} else ""
        words = [f"plugin    {told['plugin']}, version {told['version']}{was}", f"socket    {told['socket']}"]
    if told["changed"]:
        lost = "; it had comments, which are only there" if settings.commented else ""
        words.append(f"settings  {settings.file}: written; as it was: {told['backup']}{lost}")
    elif told["to_do"] and lines is not None:
        elsewhere = f"into the files that {settings.elsewhere} includes"
        otherwise = elsewhere if settings.elsewhere else "run the command again with --write"
        words += [
            f"to do     put this into {settings.file}, or {otherwise}:",
            json_text(lines, indent=2),
        ]
    else:
        words.append(f"settings  {settings.file}: as it has to be")
    if told.get("media_roots"):
        folders = json_text({"mediaRoots": told["media_roots"]})
        words.append(
            f"files     to let agents send files, add to channels.octo of the bots' settings: {folders}"
        )
    then = f", then look: {check}" if check else ""
    return [*words, f"next      {RESTART}{then}"]
