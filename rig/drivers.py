"""What a bench's generator can do, asked of its driver alone."""

from __future__ import annotations

import hal.generators
from firmware_py.config import GeneratorConfig
from hal.links import pipe
from hal.ports import ByteLink, Generator
from rig.exit_codes import UsageError


def generator_of(config: GeneratorConfig, link: ByteLink) -> Generator:
    """Raises UsageError for a device that can only be listened to."""
    must_drive_beam(config.driver)
    return hal.generators.open_generator(
        config.driver,
        link,
        dialect=config.dialect,
        baud=config.baud,
        status_poll_us=config.status_poll_ms * 1000,
        monitor_poll_us=config.monitor_poll_ms * 1000,
        standby_poll_us=config.standby_poll_ms * 1000,
        **config.own_options(),
    )


def must_drive_beam(driver: str) -> None:
    """Raises UsageError, with its reason, where a driver is a codec only."""
    try:
        hal.generators.must_drive_beam(driver)
    except hal.generators.CodecOnlyError as error:
        raise UsageError(str(error)) from None


def nobody() -> ByteLink:
    """A link without a device at the other end: enough to ask a driver what it can do."""
    return pipe()[0]
