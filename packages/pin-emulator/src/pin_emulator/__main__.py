"""`python -m pin_emulator` is `pin-emulator`."""

from pin_emulator.cli import app

app(prog_name="pin-emulator")
