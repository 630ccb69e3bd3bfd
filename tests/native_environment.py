"""The environment in which `native`, and `make` with it, finds a stack that is not the clone's own."""

from native_stack.settings import NativeSettings


def native_environment(settings: NativeSettings) -> dict[str, str]:
    """Return the variables that name a stack's directory and ports."""
    ports = {
        settings.variable(name): str(getattr(settings, name))
        for name in type(settings).model_fields
        if name.endswith("_port")
    }
    return ports | {"PINFLOW_STATE_DIR": str(settings.state_dir)}
