"""What a command raises when it cannot go on: one sentence that says what happened, one that says what to try."""


class TitoError(Exception):
    """The work is not right yet; nothing was changed. Exit code 1."""

    exit_code = 1

    def __init__(self, message, hint=""):
        super().__init__(message)
        self.message, self.hint = message, hint

    def __reduce__(self):  # so that it travels between processes, whatever a subclass's constructor takes
        return _again, (type(self), self.args, vars(self))


class UsageError(TitoError):
    """The command was called wrongly: an unknown module, a module out of order. Exit code 2."""

    exit_code = 2


class WorkplaceError(TitoError):
    """Something outside the student's work is in the way: no workspace, a full disk, a broken course. Exit code 3."""

    exit_code = 3


class CourseError(WorkplaceError):
    """A module of the course is not well formed; `place` is `file:line`."""

    def __init__(self, place, message, hint=""):
        super().__init__(f"{place}: {message}", hint)
        self.place = str(place)


def _again(kind, args, facts):
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error
