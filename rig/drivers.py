"""What a bench's generator can do, asked of its driver alone."""

from __future__ import annotations

from firmware_py.config import GeneratorConfig
from hal.generators import open_generator
from hal.links import pipe
from hal.ports import ByteLink, Generator


def generator_of(config: GeneratorConfig, link: ByteLink) -> Generator:
    return open_generator(
        config.driver,
        link,
        dialect=config.dialect,
        baud=config.baud,
        status_poll_us=config.status_poll_ms * 1000,
        monitor_poll_us=config.monitor_poll_ms * 1000,
        standby_poll_us=config.standby_poll_ms * 1000,
    )


def nobody() -> ByteLink:
    """A link without a device at the other end: enough to ask a driver what it can do."""
    return pipe()[0]
