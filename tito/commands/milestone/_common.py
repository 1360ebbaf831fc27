"""What the milestone commands share."""

import click

from tito.course import Course
from tito.errors import TitoError


def _complete_milestone(context, parameter, incomplete):
    try:
        milestones = Course.find().milestones
    except TitoError:
        return []  # without a course there is nothing to complete, and a shell's TAB is no place for messages
    return [m.label for m in milestones if m.label.startswith(incomplete)]


milestone_argument = click.argument("milestone", shell_complete=_complete_milestone)
