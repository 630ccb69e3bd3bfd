"""Docker for tests: an engine, its plugins, and stand-ins for images where no registry can be reached."""
