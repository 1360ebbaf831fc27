"""Where a module's probes are tried on solutions: the reference's values by seed, and verdicts on anything else."""

import itertools

from tito.errors import CourseError
from tito.grading import probing
from tito.grading.warm import Warm

PROBES_A_JOB = 32


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
        frames, ended = self._run(self.trusted, self._reference, self.probes.tasks, seeds)
        errors = {task: error["message"] for (task, _), error in frames.ended.items() if error}
        if not frames.whole or errors or frames.damaged:
            reason = frames.import_error or errors or frames.broken or frames.damaged or ended
            raise CourseError(self.probes.path, f"the reference does not come to its end: {reason}")
        return frames

    def try_out(self, files, tasks, seeds):
        """`{(task, seed): Verdict}` of exported files, and the frames."""
        frames, _ = self._run(self.warm, files, tasks, seeds)
        reference = self.reference(*seeds)
        pairs = itertools.product(tasks, seeds)
        return {key: probing.verdict(self.probes, *key, frames, reference) for key in pairs}, frames

    def _run(self, warm, files, tasks, seeds):
        """`(Frames, how it ended)`, from so many jobs that what a job may send is enough for every probe in it."""
        step, found = max(1, PROBES_A_JOB // len(tasks)), None
        for start in range(0, len(seeds), step):
            answer = warm.run(self.job(files, tasks, seeds[start : start + step]))
            frames = probing.Frames.read(answer["frames"])
            found = frames if found is None else found.with_those_of(frames)
        return found, f"{answer['ended']} {answer['code']}"

    def close(self):
        self.trusted.close()
        self.warm.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
