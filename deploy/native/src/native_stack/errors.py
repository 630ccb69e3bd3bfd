"""What can go wrong with the stack; every message says what happened, what was found and what to do."""


class NativeError(Exception):
    """The stack cannot do what was asked; the message is for the person at the terminal."""


class MissingRequirementError(NativeError):
    """The machine lacks something the stack does not bring along."""


class BuildError(NativeError):
    """A jar folder or a binary could not be made."""


class PortTakenError(NativeError):
    """Another process listens where one of ours has to."""


class ProgramError(NativeError):
    """A program does not stay up, or a one-shot refused to do its work."""


class NotReadyInTimeError(NativeError):
    """The stack did not reach the wanted state in time."""
