"""Everything tito asks of nbgrader: the gradebook, running a notebook, its configuration.

The configuration file that `tito release` writes names functions and classes of this file, so that nbgrader's own
commands and its formgrader do the same as tito's. Importing it takes a second: import it inside functions.
"""

import contextlib
import json
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import tito
from tito import notebook as nb
from tito.errors import TitoError, WorkplaceError
from tito.grading.execution import Execution, Limits, place

# isort: split
import nbformat
import sqlalchemy
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbgrader import preprocessors
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import CsvExportPlugin
from traitlets.config import Config, PyFileConfigLoader

COURSE_ID = "tinytorch"
CONFIG = '''"""nbgrader's configuration of this folder, written by `tito release`. Add your own settings at the end."""

import os

from tito.grading.gradebook import configure

c = get_config()  # noqa: F821  given by nbgrader
configure(c, os.path.dirname(os.path.abspath(__file__)))
'''
BUSY_SECONDS = 10
