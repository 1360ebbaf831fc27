"""Where a module's probes are tried on solutions: the reference's values by seed, and verdicts on anything else."""

import itertools

from tito.errors import CourseError
from tito.grading import probing
from tito.grading.warm import Warm


class Bench:
    """A module's probes and two warm processes: a trusted one for the reference, and `warm` for what is tried.

    package: folder with `tinytorch` in which the lower modules are built. complete: the module's notebook with answers.
    warm: by default the trusted one, which is right for an author's own code only.
    """

    def __init__(self, course, module, package, complete, warm=None):
        self.module, self.probes = module, probing.Probes(module)
        lower = [m for m in course.modules if m.number < module.number]
        self.preload = [f"tinytorch.{target}" for m in lower for target in m.targets]
        self.trusted = Warm(package, self.preload)
        self.warm = warm or self.trusted
        self._reference = probing.exported_files(module, complete)
        self._by_seeds = {}

    def job(self, files, tasks, seeds, **options):
        return probing.job(self.module, files, tasks, seeds, self.probes.text, **options)

    def reference(self, *seeds):
        """Frames of the reference on every probe. Raises: CourseError where it does not come to its end."""
        if seeds not in self._by_seeds:
            self._by_seeds[seeds] = self._run_reference(seeds)
        return self._by_seeds[seeds]

    def _run_reference(self, seeds):
        answer = self.trusted.run(self.job(self._reference, self.probes.tasks, seeds))
        frames = probing.Frames.read(answer["frames"])
        errors = {task: error["message"] for (task, _), error in frames.ended.items() if error}
        if not frames.whole or errors or frames.damaged:
            reason = frames.import_error or errors or frames.broken or frames.damaged
            reason = reason or f"{answer['ended']} {answer['code']}"
            raise CourseError(self.probes.path, f"the reference does not come to its end: {reason}")
        return frames

    def try_out(self, files, tasks, seeds):
        """`{(task, seed): Verdict}` of exported files, and the frames."""
        frames = probing.Frames.read(self.warm.run(self.job(files, tasks, seeds))["frames"])
        reference = self.reference(*seeds)
        pairs = itertools.product(tasks, seeds)
        return {key: probing.verdict(self.probes, *key, frames, reference) for key in pairs}, frames

    def close(self):
        self.trusted.close()
        self.warm.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
