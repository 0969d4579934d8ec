"""The configuration files that commands take: ours, a gateway's, or both."""

from pathlib import Path

import click

from openclaw_channel_octo.config.load import Loaded, load_config

__all__ = ["CONFIG_OPTION", "OPENCLAW_OPTION", "load_named"]

CONFIG_OPTION = click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),  # said by who reads it, in its own form
    help="The configuration, octo.json.",
)
OPENCLAW_OPTION = click.option(
    "--openclaw",
    metavar="FILE",
    type=click.Path(path_type=Path, readable=False),  # said by who reads it, in its own form
    help="An OpenClaw gateway's openclaw.json: turns run in that gateway. It is only read.",
)


def load_named(config_file: Path | None, openclaw: Path | None) -> Loaded:
    """Return the configuration in the files somebody named.

    Raises:
        click.UsageError: neither was named.
        ConfigError: something in them is wrong; holds every mistake.
    """
    if config_file is None and openclaw is None:
        raise click.UsageError(
            "name a configuration: --config octo.json, or --openclaw openclaw.json, or both"
        )
    return load_config(config_file, openclaw=openclaw)
