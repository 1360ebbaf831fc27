"""Pairs of students whose answers are nearly the same after renaming: a hint to a person, never a mark.

Short answers to one question are alike by themselves. So an answer counts only if it is long enough and if few others
in the class look like it, and a pair is named only for several such answers or a very long one.
"""

import builtins
import io
import keyword
import tokenize
from collections import Counter
from itertools import combinations

from rapidfuzz.distance import Indel

LIKE = 0.92  # share of tokens in common, in order
TOKENS = 25  # an answer must have, beyond what is given
LONG = 100  # tokens of which one answer is enough
OFTEN = 3  # students who may write alike before it says nothing, or a twentieth of the class
_KEPT = set(keyword.kwlist) | set(dir(builtins))
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def similar_pairs(answers, blanks):
    """`[{"students": [a, b], "tasks": [...], "likeness": percent}]`, the most alike first.

    answers: `{student: {task: source}}`. blanks: `{task: source}` as released.
    """
    found = {}
    for task, blank in blanks.items():
        forms = {student: form_of(sources.get(task, ""), blank) for student, sources in answers.items()}
        forms = {student: form for student, form in forms.items() if len(form) >= TOKENS}
        for pair, likeness in _alike(forms, max(OFTEN, len(answers) // 20)).items():
            found.setdefault(pair, []).append((task, likeness, max(len(forms[student]) for student in pair)))
    rows = []
    for pair, alike in found.items():
        if len(alike) > 1 or alike[0][2] >= LONG:
            mean = sum(likeness for _, likeness, _ in alike) / len(alike)
            rows.append({"students": list(pair), "tasks": [t for t, _, _ in alike], "likeness": round(100 * mean)})
    return sorted(rows, key=lambda row: (-len(row["tasks"]), -row["likeness"], row["students"]))


def _alike(forms, often):
    """`{(student, student): likeness}` of those that are alike, without forms that many share."""
    close = {}
    for a, b in combinations(sorted(forms), 2):
        likeness = Indel.normalized_similarity(forms[a], forms[b], score_cutoff=LIKE)
        if likeness >= LIKE:
            close[a, b] = likeness
    partners = Counter(student for pair in close for student in pair)
    return {pair: likeness for pair, likeness in close.items() if all(partners[s] < often for s in pair)}


def form_of(source, blank):
    """Tokens of what a student added to a blank, their own names replaced by numbers in order of appearance."""
    given = {line.strip() for line in blank.splitlines()}
    text = "\n".join(line for line in source.splitlines() if line.strip() not in given)
    known, numbers, form = set(_names(blank)) | _KEPT, {}, []
    for token in _tokens(text):
        if token.type == tokenize.NAME and token.string not in known:
            form.append(numbers.setdefault(token.string, len(numbers)))
        elif token.type == tokenize.STRING:
            form.append("text")
        else:
            form.append(token.string)
    return form


def _names(source):
    return (token.string for token in _tokens(source) if token.type == tokenize.NAME)


def _tokens(source):
    """Tokens up to where the source is no Python any more, without comments and layout."""
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type not in _LAYOUT:
                found.append(token)
    except (tokenize.TokenError, SyntaxError):  # what was read before still counts
        pass
    return found
