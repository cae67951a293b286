"""Whether a challenger becomes the champion, with every check and its numbers.

REJECT is about the challenger alone: it is not fit for production. HOLD is about the pair: it is
sound, but not better than the champion on the same holdout rows.
"""

from include.records import Check, Decision, Form, Scorecard, Scores, Verdict


def promote(scores: Scores, form: Form) -> Decision:
    """Decide on a challenger scored on the same holdout as the champion, if there is one.

    A form with `force` promotes past HOLD, never past REJECT.
    """
    skill = _beats_no_skill(scores.challenger)
    if not skill.passed:
        return Decision(Verdict.REJECT, skill.sentence, (skill,), scores, note=form.note)
    if scores.champion is None:
        reason = f"the first model with skill: {skill.sentence}"
        return Decision(Verdict.PROMOTE, reason, (skill,), scores, note=form.note)
    better = _beats_champion(scores.challenger, scores.champion)
    checks = (skill, better)
    if better.passed:
        return Decision(Verdict.PROMOTE, better.sentence, checks, scores, note=form.note)
    if form.force:
        reason = f"forced from the trigger form, although {better.sentence}"
        return Decision(Verdict.PROMOTE, reason, checks, scores, forced=True, note=form.note)
    return Decision(Verdict.HOLD, better.sentence, checks, scores, note=form.note)


def _beats_no_skill(challenger: Scorecard) -> Check:
    f1, bound = challenger.f1, challenger.no_skill_f1
    passed = f1 > bound
    verb = "beats" if passed else "does not beat"
    sentence = f"F1 {f1:.4f} {verb} the {bound:.4f} of calling every row positive"
    return Check("no_skill_f1", passed, f1, bound, sentence)


def _beats_champion(challenger: Scorecard, champion: Scorecard) -> Check:
    passed = challenger.f1 > champion.f1
    verb = "beats" if passed else "does not beat"
    sentence = (
        f"challenger F1 {challenger.f1:.4f} {verb} champion F1 {champion.f1:.4f} "
        f"(version {champion.model_version}) on the same {champion.rows} holdout rows"
    )
    return Check("champion_f1", passed, challenger.f1, champion.f1, sentence)
