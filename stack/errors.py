"""What an operator reads when the stack cannot do what was asked."""


class StackError(Exception):
    """The stack cannot start or go on; the message says why and what to do."""


class AlreadyRunningError(StackError):
    """Another process holds this home: a stack runs in it, or is being started."""
